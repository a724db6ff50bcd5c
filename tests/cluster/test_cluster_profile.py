"""Whether a machine can run a device profile, and what its workers are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from cluster.profiles import cluster

from funreason_train.cluster import Profile, forwarded, gpu_problem
from funreason_train.cluster.environment import thread_variables
from funreason_train.cluster.profile import launch_problem, visible_gpus
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.load import load_settings

CONFIGS = Path(__file__).parents[2] / "configs" / "cluster"


def profile(name: str, **changes: object) -> Profile:
    return Profile.of({**cast(dict[str, Any], cluster(name)), **changes})


def machine(tmp_path: Path, gpus: int) -> Path:
    (tmp_path / "dev").mkdir()
    for number in range(gpus):
        (tmp_path / "dev" / f"nvidia{number}").touch()
    (tmp_path / "dev" / "nvidiactl").touch()
    return tmp_path


def test_the_reference_has_32_gpus() -> None:
    assert profile("h20x32").gpus == 32
    assert profile("cpu").gpus == 0


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_is_named_like_its_file_and_has_the_same_keys(file: Path) -> None:
    config = compose("sft", [f"cluster={file.stem}"]).cluster
    reference = cluster("cpu")
    assert config.name == file.stem
    assert set(reference) <= set(config)
    assert set(reference.sft) == set(config.sft)


@pytest.mark.parametrize(("started", "refused"), [("", False), ("2", True), ("4", False), ("5", False)])
def test_a_launch_script_on_too_few_machines_is_refused_and_spare_ones_are_not(
    started: str, refused: bool
) -> None:
    problem = launch_problem(profile("h20x32"), {"FUNREASON_NODES": started})
    assert bool(problem) is refused
    assert not problem or "has 4 machines, but the launch script was started for 2 (NNODES" in problem


def test_more_training_processes_than_gpus_are_refused() -> None:
    with pytest.raises(UserError, match=r"cluster\.sft\.workers=64: must be at most 8"):
        load_settings("sft", ["cluster=gpu80x8", "cluster.sft.workers=64"])


def test_a_cpu_profile_runs_anywhere(tmp_path: Path) -> None:
    assert gpu_problem(profile("cpu"), {}, machine(tmp_path, 0)) is None


def test_no_gpu_is_one_sentence_with_every_way_out(tmp_path: Path) -> None:
    problem = gpu_problem(profile("h20x32"), {}, machine(tmp_path, 0))
    assert problem is not None
    assert "needs 4 x 8 GPUs but this machine has no GPU" in problem
    for way in ("dry_run=true", "cluster=cpu", "RAY_ADDRESS"):
        assert way in problem


def test_eight_gpus_alone_are_not_four_nodes(tmp_path: Path) -> None:
    problem = gpu_problem(profile("h20x32"), {}, machine(tmp_path, 8))
    assert problem is not None
    assert "launch script on every node" in problem


def test_one_machine_with_its_gpus_needs_no_cluster(tmp_path: Path) -> None:
    assert gpu_problem(profile("h20x32", nodes=1), {}, machine(tmp_path, 8)) is None


def test_a_named_cluster_is_counted_after_joining(tmp_path: Path) -> None:
    root = machine(tmp_path, 0)
    assert gpu_problem(profile("h20x32"), {"RAY_ADDRESS": "10.0.0.1:6388"}, root) is None
    assert gpu_problem(profile("h20x32", address="10.0.0.1:6388"), {}, root) is None


def test_hidden_gpus_do_not_count(tmp_path: Path) -> None:
    root = machine(tmp_path, 8)
    assert visible_gpus(root, {}) == 8
    assert visible_gpus(root, {"CUDA_VISIBLE_DEVICES": "0,3"}) == 2
    assert visible_gpus(root, {"CUDA_VISIBLE_DEVICES": ""}) == 0
    assert visible_gpus(root, {"CUDA_VISIBLE_DEVICES": "-1"}) == 0


def test_cores_are_shared_out_among_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funreason_train.cluster.profile.available_cores", lambda: 8)
    assert profile("cpu").threads(1) == 8
    assert profile("cpu").threads(2) == 4
    assert profile("cpu").threads(100) == 1
    assert profile("cpu", cpus_per_worker=3).threads(2) == 3


def test_secrets_strangers_and_this_nodes_interface_stay_out_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {
        "HF_TOKEN": "hf_secret",
        "WANDB_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "RANK": "3",
        "WORLD_SIZE": "32",
        "HF_HOME": "/models",
        "NCCL_DEBUG": "INFO",
        "NCCL_SOCKET_IFNAME": "=eth3",
    }
    assert forwarded({"NCCL_DEBUG": "WARN"}, environ) == {"HF_HOME": "/models", "NCCL_DEBUG": "WARN"}


def test_openmp_threads_sleep_soon_while_they_wait() -> None:
    variables = thread_variables(2)
    assert variables["OMP_NUM_THREADS"] == "2"
    assert variables["OMP_WAIT_POLICY"] == "PASSIVE"
    assert 0 < int(variables["GOMP_SPINCOUNT"]) <= 1000
