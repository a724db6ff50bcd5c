"""The launch script with the real Ray on two played hosts, up to the preflight of every node: no training.

There are no data, so a run that passes the preflight ends with that; a fault of a host ends it before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from smoke.console import ROOT, console_environment

from funreason_train.cluster.hosts import enter_rack, why_not
from funreason_train.commands.cli import main
from funreason_train.commands.rehearsal.plan import Step
from funreason_train.commands.rehearsal.play import Job

AS_ROOT = os.getuid() == 0
#: What a host does before the launch script: its own view of the shared folder takes nothing more.
FULL = "mount -t tmpfs -o size=64k full {run}; head -c 1000000 /dev/zero >{run}/rest 2>/dev/null"
READ_ONLY = "mount --bind {run} {run} && mount -o remount,ro,bind {run}"
#: Of host 1 a driver of yesterday and a GPU that somebody uses.
NVIDIA_SMI = """#!/bin/sh
if [ "$(hostname)" = host1 ]; then driver=550.54.15 free=20480; else driver=580.95.05 free=97000; fi
case "$*" in
    *query-gpu*) echo "0, NVIDIA H20, 97871, $free, $driver" ;;
    *compute-apps*) [ "$free" = 97000 ] || echo "77, python" ;;
    *topo*) echo "GPU0 X NV18" ;;
esac
"""

pytestmark = pytest.mark.smoke
needs_namespaces = pytest.mark.skipif(
    why_not(AS_ROOT) is not None, reason="without namespaces no disk or name belongs to one host alone"
)


def launch(place: Path, network: str, words: str, before: str = ":", path: Path | None = None) -> str:
    """What two hosts say when `launch/stage.sh` is started on them; it has to end with code 2.

    Args:
        place: A rehearsal's folder.
        network: `namespaces` or `loopback`.
        words: The stage and its settings.
        before: Runs on host 1 first.
        path: A folder that comes first on PATH.
    """
    step = Step(
        "sft", 2, ("bash", "-c", f"if [ $NODE_RANK = 1 ]; then {before}; fi; bash launch/stage.sh {words}")
    )
    scratch = Path("/tmp") / f"fr{os.getpid()}{network[0]}"  # Ray's sockets need a short path
    scratch.mkdir()
    job = scratch / "job.json"
    Job(str(place), network == "namespaces", 2, 16, str(scratch), (step,), {}).write(job)
    lifeline, held = os.pipe()
    rack = enter_rack(AS_ROOT) if network == "namespaces" else []
    module = "funreason_train.commands.rehearsal.play"
    command = [*rack, sys.executable, "-m", module, str(job), str(lifeline)]
    environment = {**console_environment(place.parent), "FUNREASON_RAY_PORT": "6397", "COLUMNS": "400"}
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, pass_fds=(lifeline,), env=environment, cwd=ROOT, timeout=600
    )
    os.close(lifeline)
    os.close(held)
    subprocess.run(["rm", "-rf", str(scratch)], check=True)
    logs = "".join(file.read_text() for file in sorted((place / "logs").glob("*.log")))
    assert done.returncode == 2, done.stdout + done.stderr + logs
    assert "Traceback" not in logs, logs
    return logs


def launch_sft(tmp_path: Path, network: str, before: str = ":") -> str:
    """What the hosts say when the rehearsal's SFT is launched on them; `before` is run on host 1 first."""
    words = ["+recipe=funreason_mt_4b", "rehearsal.hosts=2", "rehearsal.network=loopback"]
    assert main(["pipeline", "rehearse=true", "dry_run=true", *words, f"run_dir={tmp_path / 'run'}"]) == 0
    place = tmp_path / "run.rehearsal"
    (place / "run").mkdir()
    sft = f"sft +recipe={place}/recipe.yaml cluster={place}/hosts.yaml"
    return launch(place, network, sft, before.format(run=place / "run"))


def test_two_nodes_on_loopback_addresses_join_and_are_looked_at(tmp_path: Path) -> None:
    said = launch_sft(tmp_path, "loopback")
    assert "--node-ip-address=127.77.0.2" in said and "all 2 nodes have joined" in said
    assert "Looked at every node" in said
    assert "dataset_info.json is missing" in said, "the run went another way"


@needs_namespaces
def test_a_host_that_cannot_write_the_shared_folder_is_named_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    said = launch_sft(tmp_path, "namespaces", FULL)
    assert "all 2 nodes have joined" in said
    (line,) = [line for line in said.splitlines() if line.startswith("funreason-train:")]
    assert "1@host1" in line and "cannot be written" in line and "run_dir" in line, line
    assert "Supervised fine-tuning" not in said, "the stage was started"


@needs_namespaces
def test_doctor_looks_at_every_node_and_names_the_one_with_the_faults(tmp_path: Path) -> None:
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(NVIDIA_SMI)
    smi.chmod(0o755)
    other = tmp_path / "METADATA"  # of another torch, which host 1 sees in the place of what is installed
    other.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.10.0\n")
    installed = distribution("torch").locate_file(f"torch-{version('torch')}.dist-info/METADATA")
    run = tmp_path / "run"
    run.mkdir()
    before = f"export CC=nowhere; mount --bind {other} {installed}; {READ_ONLY.format(run=run)}"
    words = f"doctor +recipe=funreason_mt_1gpu cluster=gpu80x1 cluster.nodes=2 run_dir={run}"
    said = launch(tmp_path / "place", "namespaces", words, before, smi.parent)
    assert "Every node" in said
    (problem,) = [line for line in said.splitlines() if line.startswith("funreason-train:")]
    errors = [line for line in said.partition(problem)[2].splitlines() if line.startswith("  - ")]
    for sentence in (
        "1@host1: driver: the NVIDIA driver is 550.54.15, CUDA 13 needs 580 or newer. Update the driver",
        "1@host1: GPU memory: in use: GPU 0 has 20 of 96 GiB free (77 python). End what uses",
        "1@host1: compiler: no C compiler, which Triton needs at run time. Install gcc on this node",
        f"1@host1: disk: {run} cannot be written. Choose another run_dir",
    ):
        assert len([error for error in errors if sentence in error]) == 1, errors
    (lock,) = [error for error in errors if "versions" in error]
    assert "torch is 2.10.0 on 1@host1; " in lock and "on 0@host0" in lock and "bootstrap.sh" in lock
    # What both lack: a GPU that works, and a machine's shared memory.
    first = [error for error in errors if "0@host0: " in error]
    assert [error for error in first if "matrix probe" not in error and "/dev/shm" not in error] == []
