"""Launch scripts that are started in the wrong place, or with wrong settings: one sentence, code 2."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from launch.fake_cluster import REPO, Cluster
from launch.test_ray_nodes import end


def test_two_machines_with_one_rank_are_refused(cluster: Cluster) -> None:
    (cluster.state / "nodes").mkdir()
    for host in ("n1", "n2"):
        record = {"NodeName": f"1@{host}", "Alive": True, "pid": 0}
        (cluster.state / "nodes" / f"1@{host}.json").write_text(json.dumps(record))
    code, messages = end(cluster.node(0, 3))
    for host in ("n1", "n2"):
        (cluster.state / "nodes" / f"1@{host}.json").unlink()
    assert code == 2
    assert "several machines claim rank 1 (n1, n2)" in messages


def test_a_rank_that_the_others_do_not_count_is_named_at_once(cluster: Cluster) -> None:
    over = cluster.node(3, 4)
    code, messages = end(cluster.node(0, 2))
    assert code == 2
    assert f"rank 3 ({os.uname().nodename}) joined, but rank 0 waits for 2 nodes" in messages
    assert end(over)[0] == 0
    assert [call for call in cluster.calls() if "dry_run" not in call] == []


def test_rank_0_on_another_machine_than_the_head_says_so(cluster: Cluster) -> None:
    place = {"HEAD_ADDR": "127.0.0.9", "FUNREASON_NODE_IP": "127.0.0.1"}
    code, messages = end(cluster.node(0, 2, **place))
    assert code == 2
    assert "rank 0 runs here, at 127.0.0.1, and HEAD_ADDR (127.0.0.9) leads elsewhere" in messages
    assert cluster.living() == []


@pytest.mark.parametrize("of", ["the script", "its folder"])
def test_a_script_can_be_called_by_a_link(cluster: Cluster, tmp_path: Path, of: str) -> None:
    folder = of == "its folder"
    (tmp_path / "link").symlink_to(REPO / "launch" if folder else REPO / "launch/sft_h20x32.sh")
    script = tmp_path / "link" / "sft_h20x32.sh" if folder else tmp_path / "link"
    environment = cluster.environment(NNODES=1)
    done = subprocess.run(["bash", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(cluster.calls()) == 1


#: A step of the first part of a job of two kinds of machines.
HETEROGENEOUS = {
    "SLURM_HET_SIZE": 2,
    "SLURM_JOB_NODELIST": "gpu[1-2]",
    "SLURM_JOB_NODELIST_HET_GROUP_0": "gpu[1-2]",
    "SLURM_JOB_NODELIST_HET_GROUP_1": "big1",
    "SLURM_STEP_NUM_NODES": 2,
    "SLURM_NODEID": 0,
}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"NNODES": 4, "HEAD_ADDR": "10.0.0.1"}, "4 nodes, but this one's rank is unknown"),
        (
            {"NNODES": 4, "NODE_RANK": 4, "HEAD_ADDR": "10.0.0.1"},
            "the rank is '4', but 4 nodes have the ranks 0 ... 3",
        ),
        ({"NNODES": "four"}, "the number of nodes is 'four'"),
        ({"NNODES": 0}, "the number of nodes is '0'"),
        ({"NNODES": 2, "NODE_RANK": 1}, "set HEAD_ADDR to the address of rank 0's machine"),
        (
            {"NNODES": 2, "NODE_RANK": 1, "HEAD_ADDR": "nowhere"},
            "the head's name 'nowhere' has no address here",
        ),
        ({"NNODES": 2, "NODE_RANK": 0, "HEAD_ADDR": "me"}, "'me' means 127.0.0.1 on this machine"),
        (
            {"SLURM_STEP_NUM_NODES": 2, "SLURM_NODEID": 0, "SLURM_PROCID": 1, "SLURM_LOCALID": 1},
            "several tasks on this node",
        ),
        # The body of a batch file of one's own that forgot srun: SLURM runs it on the first node.
        (
            {"SLURM_JOB_NUM_NODES": 4, "SLURM_NODEID": 0, "SLURM_JOB_NODELIST": "n[1-4]"},
            "SLURM's job has 4 nodes, and this script was started on one of them alone: start it with srun",
        ),
        (
            HETEROGENEOUS,
            "SLURM's job is heterogeneous, of 2 parts that count their nodes apart: ask for nodes",
        ),
        (HETEROGENEOUS | {"SLURM_STEP_NUM_NODES": 1}, "SLURM's job is heterogeneous"),
        (HETEROGENEOUS | {"NNODES": 3, "NODE_RANK": 1}, "or set NNODES, NODE_RANK and HEAD_ADDR"),
        (
            {"SLURM_STEP_NUM_NODES": 2, "SLURM_NODEID": 1, "SLURM_JOB_NODELIST": "gpu[01-03,7],login-1"},
            "SLURM names other nodes (gpu01, gpu02, gpu03, gpu7, login-1) than the 2 that are counted here",
        ),
        *(
            ({"NNODES": 2, "NODE_RANK": 1, "HEAD_ADDR": address}, f"HEAD_ADDR is '{address}': give the IPv4")
            for address in ("10.0.0.1:6388", "http://n1", "fe80::1", "n1 ")
        ),
        *(
            ({"NNODES": 2, "NODE_RANK": 1, "HEAD_ADDR": "127.0.0.1", name: value}, f"{name} is ")
            for name, value in (
                ("FUNREASON_WAIT_SECONDS", "1.5"),
                ("FUNREASON_HEAD_PATIENCE", "long"),
                ("FUNREASON_RAY_PORT", "http"),
                ("FUNREASON_RAY_PORT", 99999),
                ("FUNREASON_RAY_PORT", 17000),
            )
        ),
    ],
)
def test_a_wrong_place_is_one_clear_sentence(cluster: Cluster, settings: dict, words: str) -> None:
    code, messages = end(cluster.start("sft_h20x32.sh", **settings))
    assert code == 2
    assert words in messages
    assert len(messages.strip().splitlines()) == 1
    assert cluster.nodes() == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"NNODES": "four"}, "the number of nodes is 'four'"),
        ({"NNODES": 0}, "the number of nodes is '0'"),
        ({"SLURM_JOB_NUM_NODES": "4(x2)"}, "the number of nodes is '4(x2)'"),
        ({"NNODES": 4, "NODE_RANK": "abc"}, "the rank is 'abc', but 4 nodes have the ranks 0 ... 3"),
        ({"NNODES": 10, "NODE_RANK": "08"}, "the rank is '08'"),
    ],
)
def test_a_dry_run_in_a_wrong_place_says_so_too(cluster: Cluster, settings: dict, words: str) -> None:
    code, messages = end(cluster.start("sft_h20x32.sh", "dry_run=true", **settings))
    assert code == 2 and words in messages and len(messages.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["+recipe=funreason_mt_8gpu"], ["cluster=cpu", "supervise=true"]])
def test_a_stage_that_is_not_named_is_asked_for(cluster: Cluster, arguments: list[str]) -> None:
    code, messages = end(cluster.start("stage.sh", *arguments))
    assert code == 2 and "which stage? bash launch/stage.sh" in messages and "unbound" not in messages


def test_a_batch_file_outside_of_a_job_says_how_it_is_started(cluster: Cluster) -> None:
    code, messages = end(cluster.start("slurm/sft_h20x32.sbatch"))
    assert code == 2 and "submit it with sbatch" in messages and "launch/sft_h20x32.sh" in messages


def test_an_option_is_no_folder_for_the_model(cluster: Cluster) -> None:
    code, messages = end(cluster.start("smollm2.sh", "--help"))
    assert code == 2 and "bash launch/smollm2.sh FOLDER" in messages


@pytest.mark.parametrize("script", ["quickstart.sh", "sft_h20x32.sh"])
def test_sh_in_the_place_of_bash_runs_a_script_all_the_same(cluster: Cluster, script: str) -> None:
    words = ["sh", f"launch/{script}", "run_dir=a b"]
    done = subprocess.run(words, cwd=REPO, env=cluster.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    (called,) = cluster.calls()
    assert "run_dir=a b" in called


@pytest.mark.parametrize("script", ["quickstart.sh", "sft_h20x32.sh"])
def test_an_environment_without_the_command_is_said_in_one_sentence(cluster: Cluster, script: str) -> None:
    code, messages = end(cluster.start(script, PATH="/usr/bin:/bin"))
    assert code == 2 and len(messages.strip().splitlines()) == 1
    assert "no command funreason-train on PATH" in messages and "FUNREASON_BOOTSTRAP=skip" in messages
