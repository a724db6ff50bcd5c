"""The SLURM files as jobs, with stand-ins for SLURM, Ray and the console script."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from launch.fake_cluster import REPO, Cluster, wait_until
from launch.test_ray_nodes import end


@pytest.mark.parametrize(("stage", "nodes", "hosts"), [("sft", 4, "gpu[07-09,12]"), ("rl", 2, "gpu3,big-1")])
def test_the_slurm_job(cluster: Cluster, stage: str, nodes: int, hosts: str) -> None:
    job = {"SLURM_JOB_NUM_NODES": nodes, "SLURM_JOB_NODELIST": hosts, "SLURM_CPUS_PER_TASK": 64}
    code, messages = end(cluster.start(f"slurm/{stage}_h20x32.sbatch", "seed=1", **job))
    assert code == 0, messages
    assert sorted(cluster.nodes()) == [str(rank) for rank in range(nodes)]
    assert cluster.calls()[-1].endswith(
        f"{stage} +recipe=funreason_mt_4b cluster=h20x32 supervise=true seed=1"
    )
    seen = [record["environ"] for record in cluster.nodes().values()]
    assert {environ["RAY_AUTH_MODE"] for environ in seen} == {"token"}
    assert len({environ["RAY_AUTH_TOKEN"] for environ in seen}) == 1
    assert len(seen[0]["RAY_AUTH_TOKEN"]) == 64
    assert cluster.living() == []


@pytest.mark.parametrize("hosts", ["gpu7", "gpu[7]"])
def test_a_one_node_slurm_job(cluster: Cluster, hosts: str) -> None:
    job = {"SLURM_JOB_NUM_NODES": 1, "SLURM_JOB_NODELIST": hosts}
    assert end(cluster.start("slurm/sft_h20x32.sbatch", **job))[0] == 0
    assert len(cluster.calls()) == 1
    script = "source launch/bootstrap.sh; source launch/lib_ray.sh; NODES=1; read_head; echo $HEAD"
    printed = subprocess.check_output(
        ["bash", "-c", script], cwd=REPO, env=cluster.environment(**job), text=True
    )
    assert printed.strip() == "gpu7"


def test_a_failing_slurm_job_ends_at_once_with_its_code(cluster: Cluster) -> None:
    job = {"SLURM_JOB_NUM_NODES": 3, "SLURM_JOB_NODELIST": "n[1-3]", "FUNREASON_FAKE_CHECK_CODE": 2}
    code, _ = end(cluster.start("slurm/sft_h20x32.sbatch", "sed=1", **job))
    assert code != 0
    assert cluster.living() == []


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_a_slurm_job_whose_time_is_nearly_up_saves_and_goes_back_into_the_queue(
    cluster: Cluster, stage: str
) -> None:
    job = {"SLURM_JOB_NUM_NODES": 2, "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": f"77{stage}"}
    batch = cluster.start(f"slurm/{stage}_h20x32.sbatch", FUNREASON_FAKE_TRAINS=1, **job)
    wait_until((cluster.state / "training").exists)
    batch.send_signal(signal.SIGUSR1)  # as --signal=B:USR1 has it: to the batch file alone
    code, messages = end(batch)
    assert code == 75, messages
    assert (cluster.state / "requeued").read_text() == f"77{stage}\n"
    assert cluster.living() == []
    assert not list(REPO.glob(f".funreason-stop.77{stage}*"))


def test_a_slurm_job_that_ends_by_itself_or_is_cancelled_is_not_requeued(cluster: Cluster) -> None:
    job = {"SLURM_JOB_NUM_NODES": 2, "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "78"}
    assert end(cluster.start("slurm/sft_h20x32.sbatch", **job))[0] == 0
    batch = cluster.start("slurm/sft_h20x32.sbatch", FUNREASON_FAKE_SECONDS=60, **job)
    wait_until(lambda: len(cluster.calls()) == 4)
    batch.terminate()
    assert end(batch)[0] != 0
    assert cluster.living() == []
    assert not (cluster.state / "requeued").exists()


def test_a_signal_to_the_first_nodes_script_reaches_the_stage_and_ray_lives_until_it_has_saved(
    cluster: Cluster,
) -> None:
    second = cluster.node(1, 2)
    first = cluster.node(0, 2, FUNREASON_FAKE_TRAINS=1)
    wait_until((cluster.state / "training").exists)
    second.send_signal(signal.SIGUSR1)
    first.send_signal(signal.SIGUSR1)
    assert end(first)[0] == 75
    assert end(second)[0] == 0


def test_a_missing_slurm_node_is_named_by_its_host(cluster: Cluster) -> None:
    job = {"SLURM_STEP_NUM_NODES": 2, "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NODEID": 0}
    code, messages = end(cluster.start("sft_h20x32.sh", FUNREASON_WAIT_SECONDS=2, **job))
    assert code == 2
    assert "rank 1 (n2)" in messages


def test_without_scontrol_as_in_a_container_the_heads_address_does(cluster: Cluster, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text("#!/bin/sh\nexit 127\n")
    (tools / "scontrol").chmod(0o755)
    step: dict[str, Any] = {"SLURM_STEP_NUM_NODES": 2, "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NODEID": 1}
    step |= {"PATH": f"{tools}:{cluster.environment()['PATH']}", "FUNREASON_WAIT_SECONDS": 1}
    code, messages = end(cluster.start("sft_h20x32.sh", **step))
    assert code == 2 and "scontrol could not name the job's nodes: set HEAD_ADDR" in messages
    code, messages = end(cluster.start("sft_h20x32.sh", HEAD_ADDR="127.0.0.1", **step))
    assert "no head answered on 127.0.0.1" in messages, "it goes on to look for the head"
