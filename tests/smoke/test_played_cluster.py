"""The launch script with the real Ray on two played hosts, up to the preflight of every node: no training.

There are no data, so a run that passes the preflight ends with that; a full disk ends it before.
"""

from __future__ import annotations

import os
import subprocess
import sys
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

pytestmark = pytest.mark.smoke


def launch_sft(tmp_path: Path, network: str, before: str = ":") -> str:
    """What the hosts say when SFT is launched on them; `before` is run on host 1 first."""
    run = tmp_path / "run"
    words = ["+recipe=funreason_mt_4b", "rehearsal.hosts=2", "rehearsal.network=loopback", f"run_dir={run}"]
    assert main(["pipeline", "rehearse=true", "dry_run=true", *words]) == 0
    place = tmp_path / "run.rehearsal"
    (place / "run").mkdir()
    launch = f"bash launch/stage.sh sft +recipe={place}/recipe.yaml cluster={place}/hosts.yaml"
    before = before.format(run=place / "run")
    step = Step("sft", 2, ("bash", "-c", f"if [ $NODE_RANK = 1 ]; then {before}; fi; {launch}"))
    scratch = Path("/tmp") / f"fr{os.getpid()}{network[0]}"  # Ray's sockets need a short path
    scratch.mkdir()
    job = scratch / "job.json"
    Job(str(place), network == "namespaces", 2, 16, str(scratch), (step,), {}).write(job)
    lifeline, held = os.pipe()
    rack = enter_rack(AS_ROOT) if network == "namespaces" else []
    command = [
        *rack,
        sys.executable,
        "-m",
        "funreason_train.commands.rehearsal.play",
        str(job),
        str(lifeline),
    ]
    environment = {**console_environment(tmp_path), "FUNREASON_RAY_PORT": "6397"}
    done = subprocess.run(
        command, capture_output=True, text=True, pass_fds=(lifeline,), env=environment, cwd=ROOT, timeout=600
    )
    os.close(lifeline)
    os.close(held)
    subprocess.run(["rm", "-rf", str(scratch)], check=True)
    logs = "".join(file.read_text() for file in sorted((place / "logs").glob("*.log")))
    assert done.returncode == 2, done.stdout + done.stderr + logs
    return logs


def test_two_nodes_on_loopback_addresses_join_and_are_looked_at(tmp_path: Path) -> None:
    said = launch_sft(tmp_path, "loopback")
    assert "--node-ip-address=127.77.0.2" in said and "all 2 nodes have joined" in said
    assert "Looked at every node" in said
    assert "dataset_info.json is missing" in said, "the run went another way"


def test_a_host_whose_shared_folder_is_full_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    if why_not(AS_ROOT) is not None:  # then no disk can be filled for one host alone
        return
    said = launch_sft(tmp_path, "namespaces", FULL)
    assert "all 2 nodes have joined" in said
    (line,) = [line for line in said.splitlines() if line.startswith("funreason-train:")]
    assert "1@host1" in said and "cannot be written" in said, line
    assert "run_dir" in said
    assert "Supervised fine-tuning" not in said, "the stage was started"
