"""Weights travel inside one run: two runs on one machine have Ray's first job alike, and sockets apart."""

from __future__ import annotations

from pathlib import Path

from funreason_train.rl.verl.naming import TOKEN, own
from funreason_train.rl.verl.session import environment
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

HANDLE = "ipc:///tmp/rl-colocate-zmq-01000000-replica-0-rank-0.sock"


def test_two_runs_never_meet_and_the_processes_of_one_do(tmp_path: Path) -> None:
    first, second = (
        environment(compose("rl", [f"run_dir={tmp_path / name}"]), RunDir.at(tmp_path / name))
        for name in ("a", "b")
    )
    assert own(HANDLE, first) == own(HANDLE, first) != own(HANDLE, second)
    assert own(HANDLE, first) == HANDLE.replace(".sock", f"-{first[TOKEN]}.sock")
    assert len(own(HANDLE, first).removeprefix("ipc://")) < 108, "the longest name of a Unix socket"
    assert own(HANDLE, {}) == HANDLE


def test_both_devices_use_the_ends_that_know_the_name() -> None:
    for device in ("cpu", "h20x32"):
        config = compose("rl", [f"cluster={device}"])
        chosen = config.rl.devices[config.cluster.device].verl.actor_rollout_ref.rollout.engine_kwargs.vllm
        assert chosen.worker_extension_cls.startswith("funreason_train.rl.")
