"""The launch scripts under the real supervisor, with a node that fails in the middle of a stage."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from launch.fake_cluster import Cluster, wait_until
from launch.test_ray_nodes import STAGES, end

#: Two machines in place of four, and a supervisor that does not wait long.
WORDS = (
    *("cluster.nodes=2", "cluster.wait_seconds=20", "doctor.preflight=false"),
    *("supervision.wait_seconds=0.1", "supervision.most_wait_seconds=0.2"),
)


class Job:
    """Two nodes on which a stage trains under supervision."""

    def __init__(self, cluster: Cluster, run: Path, script: str, *words: str, slurm: bool = False) -> None:
        self.cluster, self.run, self.script = cluster, run, script
        model = f"{'sft' if 'sft' in script else 'rl'}.model={run}"  # nothing is fetched
        self.words = (f"run_dir={run}", model, *WORDS, *words)
        run.mkdir()
        (run / "rows.json").write_text("[1]")
        (run / "sft").mkdir()
        (run / "sft" / "made").write_text("1")
        if "sft" in script:
            (run / "sft" / "made").unlink()
        # However soon a Ray ends, it had joined.
        self.settings = {"FUNREASON_FAKE_SUPERVISED": "1", "FUNREASON_JOIN_SECONDS": "0"}
        if slurm:
            place = {"SLURM_JOB_NUM_NODES": 2, "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "79"}
            batch = f"slurm/{script.replace('.sh', '.sbatch')}"
            self.head = cluster.start(batch, *self.words, **place, **self.settings)
        else:
            self.worker = self.node(1)
            self.head = self.node(0)
        self.trains(1)

    def node(self, rank: int) -> subprocess.Popen[str]:
        return self.cluster.node(rank, 2, *self.words, script=self.script, **self.settings)

    def trains(self, time: int) -> None:
        """Waits until the stage trains for the first, second … time."""
        wait_until(lambda: self.head.poll() is not None or self.training(time).exists(), 120)
        assert self.training(time).exists(), self.head.communicate()

    def training(self, time: int) -> Path:
        return self.cluster.state / f"training.{time}"

    def loses_ray(self) -> None:
        """Ray is killed on the second machine, whose launch script goes on."""
        os.kill(self.cluster.nodes()["1"]["pid"], signal.SIGKILL)

    def loses_host(self) -> None:
        """The second machine is gone with all that ran there."""
        self.worker.kill()
        self.loses_ray()
        self.worker.communicate()

    def finish(self) -> None:
        (self.cluster.state / "finish").touch()

    def incidents(self) -> list[str]:
        return [file.read_text() for file in sorted((self.run / "incidents").glob("*.md"))]


@pytest.mark.parametrize(("script", "stage"), STAGES)
def test_a_node_whose_ray_dies_comes_back_and_the_stage_is_started_again(
    cluster: Cluster, tmp_path: Path, script: str, stage: str
) -> None:
    job = Job(cluster, tmp_path / "run", script)
    job.loses_ray()
    job.trains(2)
    job.finish()
    printed, messages = job.head.communicate(timeout=300)
    assert job.head.returncode == 0, messages
    code, said = end(job.worker)
    assert code == 0 and "rank 1: Ray has ended on this node while the head goes on" in said
    (told,) = job.incidents()
    assert "kind **node lost**" in told and "its node has died" in told and f"`{stage}`" in told
    assert "started again in 0 s" in told and "node lost" in printed
    assert cluster.living() == []


def test_in_a_slurm_job_a_node_whose_ray_dies_does_not_end_the_job(cluster: Cluster, tmp_path: Path) -> None:
    job = Job(cluster, tmp_path / "run", "sft_h20x32.sh", slurm=True)
    job.loses_ray()
    job.trains(2)
    job.finish()
    code, messages = end(job.head)
    assert code == 0 and "joins again" in messages, messages
    assert len(job.incidents()) == 1 and cluster.living() == []
    assert not (cluster.state / "requeued").exists()


def test_a_host_that_is_gone_and_comes_back_joins_the_run_that_waits_for_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    job = Job(cluster, tmp_path / "run", "sft_h20x32.sh", "cluster.wait_seconds=120")
    job.loses_host()
    wait_until(lambda: bool(job.incidents()), 60)
    back = job.node(1)
    job.trains(2)
    job.finish()
    code, messages = end(job.head)
    assert code == 0 and end(back)[0] == 0, messages
    assert len(job.incidents()) == 1
    assert cluster.living() == []


def test_a_host_that_does_not_come_back_ends_the_job_with_the_incident_and_its_code(
    cluster: Cluster, tmp_path: Path
) -> None:
    job = Job(cluster, tmp_path / "run", "rl_h20x32.sh", "cluster.wait_seconds=1", "supervision.retries=1")
    job.loses_host()
    code, messages = end(job.head)
    assert code == 2 and "Traceback" not in messages, messages
    assert "after 1 s 1 nodes have joined, 1 is missing" in messages.replace("1.0 s", "1 s")
    assert "kind **node lost**" in job.incidents()[0]
    assert cluster.living() == []
