"""Every launch script as the nodes of a job, with stand-ins for Ray, SLURM and the console script."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from launch.fake_cluster import FAKES, REPO, Cluster, free_port, wait_until

STAGES = [("sft_h20x32.sh", "sft"), ("rl_h20x32.sh", "rl")]


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and messages of a script that must end by itself."""
    _, messages = process.communicate(timeout=300)
    return process.returncode, messages


@pytest.mark.parametrize(("script", "stage"), STAGES)
def test_four_nodes_form_one_cluster_and_rank_0_drives(cluster: Cluster, script: str, stage: str) -> None:
    workers = [cluster.node(rank, 4, "seed=3", script=script) for rank in (1, 2, 3)]
    code, messages = end(cluster.node(0, 4, "seed=3", script=script))
    assert code == 0, messages
    assert [end(worker)[0] for worker in workers] == [0, 0, 0]
    assert sorted(cluster.nodes()) == ["0", "1", "2", "3"]
    assert f"--port={cluster.port}" in cluster.nodes()["0"]["argv"]
    assert f"--address=127.0.0.1:{cluster.port}" in cluster.nodes()["3"]["argv"]
    command = f"{stage} +recipe=funreason_mt_4b cluster=h20x32 supervise=true seed=3"
    assert cluster.calls() == [
        f"RAY_ADDRESS= {command} dry_run=true",
        f"RAY_ADDRESS=127.0.0.1:{cluster.port} {command}",
    ]
    assert cluster.living() == []


def test_any_stage_runs_on_any_number_of_nodes(cluster: Cluster) -> None:
    words = ("pipeline", "+recipe=funreason_mt_16gpu", "seed=3")
    worker = cluster.node(1, 2, *words, script="stage.sh")
    code, messages = end(cluster.node(0, 2, *words, script="stage.sh"))
    assert code == 0 and end(worker)[0] == 0, messages
    assert cluster.calls()[1].endswith("pipeline +recipe=funreason_mt_16gpu supervise=true seed=3")
    assert cluster.living() == []


def test_the_doctor_is_asked_once_all_nodes_have_joined(cluster: Cluster) -> None:
    words = ("doctor", "+recipe=funreason_mt_16gpu", "cluster=gpu80x16")
    worker = cluster.node(1, 2, *words, script="stage.sh")
    code, messages = end(cluster.node(0, 2, *words, script="stage.sh", FUNREASON_FAKE_CODE=2))
    assert code == 2, "an error that the doctor finds is the script's own"
    assert end(worker)[0] == 0, messages
    asked = " ".join(words)
    assert cluster.calls() == [
        f"RAY_ADDRESS= {asked} dry_run=true",
        f"RAY_ADDRESS=127.0.0.1:{cluster.port} {asked}",
    ]
    assert cluster.living() == []


def test_supervision_can_be_turned_off(cluster: Cluster) -> None:
    assert end(cluster.start("sft_h20x32.sh", "supervise=false", NNODES=1))[0] == 0
    assert cluster.calls() == ["RAY_ADDRESS= sft +recipe=funreason_mt_4b cluster=h20x32 supervise=false"]


def test_without_a_stage_the_general_script_asks_for_one(cluster: Cluster) -> None:
    code, messages = end(cluster.node(0, 2, script="stage.sh"))
    assert code == 2 and "which stage?" in messages


def test_the_drivers_exit_code_is_handed_on_and_workers_leave(cluster: Cluster) -> None:
    worker = cluster.node(1, 2)
    code, messages = end(cluster.node(0, 2, FUNREASON_FAKE_CODE=17))
    assert code == 17, messages
    assert end(worker)[0] == 0
    assert cluster.living() == []


def test_a_node_missing_at_the_deadline_is_named_and_nothing_is_driven(cluster: Cluster) -> None:
    worker = cluster.node(1, 3)
    code, messages = end(cluster.node(0, 3, FUNREASON_WAIT_SECONDS=3))
    assert code == 2
    assert "Error: 1 of 3 nodes did not join within 3 s: rank 2;" in messages
    assert end(worker)[0] == 0
    assert [call for call in cluster.calls() if "dry_run" not in call] == []
    assert cluster.living() == []


def test_a_worker_without_a_head_gives_up_at_the_deadline(cluster: Cluster) -> None:
    code, messages = end(cluster.node(1, 2, FUNREASON_WAIT_SECONDS=1))
    assert code == 2
    assert f"no head answered on 127.0.0.1:{cluster.port} within 1 s" in messages
    assert cluster.nodes() == {}


def test_a_mistaken_argument_ends_rank_0_before_ray_starts(cluster: Cluster) -> None:
    code, _ = end(cluster.node(0, 2, "sed=3", FUNREASON_FAKE_CHECK_CODE=2))
    assert code == 2
    assert cluster.nodes() == {}


def test_a_worker_whose_own_ray_dies_says_so_and_fails(cluster: Cluster) -> None:
    head = cluster.node(0, 2, FUNREASON_FAKE_SECONDS=60)
    code, messages = end(cluster.node(1, 2, FUNREASON_FAKE_CRASH=1))
    assert code == 5
    assert "rank 1: Ray has ended on this node while the head goes on" in messages
    assert messages.count("rank 1: Ray could not start on this node (code 5") == 2
    head.terminate()
    assert end(head)[0] == 143


def test_a_node_that_comes_while_the_head_is_half_awake_tries_again(cluster: Cluster) -> None:
    worker = cluster.node(1, 2, FUNREASON_FAKE_CRASH=1, FUNREASON_FAKE_CRASHES=1)
    code, messages = end(cluster.node(0, 2, FUNREASON_FAKE_SECONDS=5))  # until it has tried again
    assert code == 0, messages
    code, messages = end(worker)
    assert code == 0 and messages.count("once more") == 1, messages
    assert cluster.living() == []


def test_a_driver_that_comes_while_the_head_is_half_awake_tries_again(cluster: Cluster) -> None:
    (cluster.state / "deaf").write_text("2")
    worker = cluster.node(1, 2)
    code, messages = end(cluster.node(0, 2))
    assert code == 0 and "Traceback" not in messages, messages
    assert end(worker)[0] == 0


def test_a_head_that_lets_nobody_in_is_one_sentence_at_the_deadline(cluster: Cluster) -> None:
    (cluster.state / "deaf").write_text("1000")
    worker = cluster.node(1, 2)
    code, messages = end(cluster.node(0, 2, FUNREASON_WAIT_SECONDS=2))
    assert code == 2 and "Traceback" not in messages, messages
    assert f"Error: Ray's head at 127.0.0.1:{cluster.port} could not be joined within 2 s" in messages
    assert end(worker)[0] == 0


def test_a_head_that_dies_ends_the_driver(cluster: Cluster) -> None:
    head = cluster.node(0, 2, FUNREASON_FAKE_SECONDS=60)
    worker = cluster.node(1, 2)
    wait_until(lambda: len(cluster.calls()) == 2)
    os.kill(cluster.nodes()["0"]["pid"], signal.SIGKILL)
    code, messages = end(head)
    assert code == 1
    assert "Ray's head has ended while it was needed" in messages
    assert end(worker)[0] == 0


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_driver_and_our_ray(cluster: Cluster, sent: signal.Signals, code: int) -> None:
    head = cluster.node(0, 2, FUNREASON_FAKE_SECONDS=60)
    worker = cluster.node(1, 2)
    wait_until(lambda: len(cluster.calls()) == 2)
    head.send_signal(sent)
    assert end(head)[0] == code
    assert end(worker)[0] == 0
    assert cluster.living() == []


@pytest.mark.skipif(
    subprocess.run(["setpriv", "--pdeathsig", "TERM", "true"], capture_output=True).returncode != 0,
    reason="this machine's setpriv has no --pdeathsig",
)
def test_a_script_killed_outright_leaves_no_ray_behind(cluster: Cluster) -> None:
    head = cluster.node(0, 2, FUNREASON_FAKE_SECONDS=60)
    wait_until(lambda: "0" in cluster.nodes())
    head.kill()
    wait_until(lambda: cluster.living() == [])


def test_other_peoples_ray_survives(cluster: Cluster, tmp_path: Path) -> None:
    foreign = subprocess.Popen(
        [FAKES / "bin/ray", "start", "--block", "--head", "--node-name=theirs", f"--port={free_port()}"],
        env=cluster.environment(FUNREASON_FAKE_STATE=tmp_path / "theirs"),
        start_new_session=True,
    )
    try:
        worker = cluster.node(1, 2)
        assert end(cluster.node(0, 2))[0] == 0
        assert end(worker)[0] == 0
        assert cluster.living() == []
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_a_port_in_use_is_named_before_anything_starts(cluster: Cluster, tmp_path: Path) -> None:
    foreign = subprocess.Popen(
        [FAKES / "bin/ray", "start", "--block", "--head", "--node-name=theirs", f"--port={cluster.port}"],
        env=cluster.environment(FUNREASON_FAKE_STATE=tmp_path / "theirs"),
        start_new_session=True,
    )
    try:
        wait_until((tmp_path / "theirs/nodes/theirs.json").exists)
        code, messages = end(cluster.node(0, 2))
        assert code == 2
        assert f"{os.uname().nodename}: port {cluster.port} of 127.0.0.1 is already in use" in messages
        assert "FUNREASON_RAY_PORT" in messages
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


@pytest.mark.parametrize("rank", [0, 1])
def test_an_existing_cluster_is_only_driven_and_only_by_rank_0(cluster: Cluster, rank: int) -> None:
    code, messages = end(cluster.node(rank, 2, RAY_ADDRESS="10.0.0.9:6379"))
    assert code == 0, messages
    driven = ["RAY_ADDRESS=10.0.0.9:6379 sft +recipe=funreason_mt_4b cluster=h20x32 supervise=true"]
    assert cluster.calls() == (driven if rank == 0 else [])
    assert cluster.nodes() == {}


@pytest.mark.parametrize(("script", "stage"), STAGES)
@pytest.mark.parametrize("argument", ["dry_run=true", "++dry_run=true", "--help"])
def test_a_dry_run_starts_no_ray(cluster: Cluster, script: str, stage: str, argument: str) -> None:
    process = cluster.node(0, 4, argument, script=script)
    printed, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    assert cluster.nodes() == {}
    assert cluster.calls() == [
        f"RAY_ADDRESS= {stage} +recipe=funreason_mt_4b cluster=h20x32 supervise=true {argument}"
    ]
    assert "# node 0: ray start --block" in printed
    assert f" --node-name=3@HOST --address=127.0.0.1:{cluster.port}" in printed


def test_a_dry_run_needs_neither_ranks_nor_a_head(cluster: Cluster) -> None:
    assert end(cluster.start("sft_h20x32.sh", "dry_run=true", SLURM_JOB_NUM_NODES=4))[0] == 0
    assert cluster.nodes() == {}


def test_the_users_recipe_goes_before_the_scripts(cluster: Cluster) -> None:
    assert end(cluster.start("rl_h20x32.sh", "+recipe=mine", "seed=1", NNODES=1))[0] == 0
    assert cluster.calls() == ["RAY_ADDRESS= rl +recipe=mine cluster=h20x32 supervise=true seed=1"]


def test_the_last_dry_run_counts(cluster: Cluster) -> None:
    assert end(cluster.start("sft_h20x32.sh", "dry_run=true", "dry_run=false", NNODES=1))[0] == 0
    assert len(cluster.calls()) == 1


@pytest.mark.parametrize("settings", [{}, {"NNODES": 1}, {"SLURM_JOB_NUM_NODES": 1, "SLURM_PROCID": 0}])
def test_one_machine_needs_no_cluster_of_ours(cluster: Cluster, settings: dict) -> None:
    code, messages = end(cluster.start("rl_h20x32.sh", "a=b c", FUNREASON_FAKE_CODE=2, **settings))
    assert code == 2, messages
    assert cluster.calls() == ["RAY_ADDRESS= rl +recipe=funreason_mt_4b cluster=h20x32 supervise=true a=b c"]
    assert cluster.nodes() == {}


def test_workers_see_only_the_allowed_environment(cluster: Cluster) -> None:
    own: dict[str, Any] = {
        "SLURM_PROCID": 1,
        "RANK": 5,
        "WORLD_SIZE": 9,
        "AWS_SECRET_ACCESS_KEY": "s",
        "HF_HOME": "/data/hf home",
        "NCCL_DEBUG": "INFO",
        "MY_DATA": "/data",
        "FUNREASON_PASS_ENV": "OTHER,MY_DATA",
    }
    worker = cluster.node(1, 2, **own)
    assert end(cluster.node(0, 2))[0] == 0
    assert end(worker)[0] == 0
    seen = cluster.nodes()["1"]["environ"]
    assert seen["HF_HOME"] == "/data/hf home"
    assert seen["NCCL_DEBUG"] == "INFO"
    assert seen["MY_DATA"] == "/data"
    assert not seen.keys() & {"SLURM_PROCID", "RANK", "WORLD_SIZE", "AWS_SECRET_ACCESS_KEY", "RAY_ADDRESS"}


def test_the_interface_towards_the_head_reaches_every_node(cluster: Cluster) -> None:
    worker = cluster.node(1, 2, GLOO_SOCKET_IFNAME="mine")
    assert end(cluster.node(0, 2))[0] == 0
    assert end(worker)[0] == 0
    head, other = cluster.nodes()["0"]["environ"], cluster.nodes()["1"]["environ"]
    assert (head["GLOO_SOCKET_IFNAME"], head["NCCL_SOCKET_IFNAME"]) == ("fab0", "=fab0")
    assert (other["GLOO_SOCKET_IFNAME"], other["NCCL_SOCKET_IFNAME"]) == ("mine", "=fab0")
    # The driver's own would reach every worker, whatever its machine's interface is called.
    assert (cluster.state / "interfaces").read_text() == ""


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "disabled"),
        ({"RAY_AUTH_TOKEN": "s"}, "token"),
        ({"RAY_AUTH_TOKEN": "s", "RAY_AUTH_MODE": "disabled"}, "disabled"),
    ],
)
def test_head_and_driver_agree_on_authentication(cluster: Cluster, settings: dict, mode: str) -> None:
    worker = cluster.node(1, 2, **settings)
    assert end(cluster.node(0, 2, **settings))[0] == 0
    assert end(worker)[0] == 0
    assert (cluster.state / "authentication").read_text().split()[-1] == mode
    assert {record["environ"]["RAY_AUTH_MODE"] for record in cluster.nodes().values()} == {mode}


def test_the_route_of_a_worker_names_interface_and_source(cluster: Cluster) -> None:
    script = "source launch/bootstrap.sh; source launch/lib_ray.sh; route_to 10.0.0.1"
    printed = subprocess.check_output(["bash", "-c", script], cwd=REPO, env=cluster.environment(), text=True)
    assert printed.split() == ["ib0", "10.0.0.2"]


def test_ray_takes_the_temp_folder_and_further_arguments(cluster: Cluster) -> None:
    extra = {
        "FUNREASON_RAY_TEMP": "/scratch/my ray",
        "FUNREASON_RAY_ARGS": "--num-cpus=2 --min-worker-port=20000",
    }
    worker = cluster.node(1, 2, **extra)
    assert end(cluster.node(0, 2, **extra))[0] == 0
    assert end(worker)[0] == 0
    wanted = {"--temp-dir=/scratch/my ray", "--num-cpus=2", "--min-worker-port=20000"}
    assert all(wanted <= set(record["argv"]) for record in cluster.nodes().values())


def test_the_quickstart_runs_the_pipeline(cluster: Cluster) -> None:
    assert end(cluster.start("quickstart.sh", "seed=2", "run_dir=a b"))[0] == 0
    assert cluster.calls() == ["RAY_ADDRESS= pipeline +recipe=quickstart_cpu seed=2 run_dir=a b"]
