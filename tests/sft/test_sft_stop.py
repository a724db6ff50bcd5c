"""A request to stop is heard by the first rank and kept by all, at one step."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from funreason_train.sft.train.callbacks import StopCallback

_RANK = """
import sys, torch.distributed as dist
from funreason_train.sft.train.callbacks import agreed
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{sys.argv[2]}", rank=rank, world_size=2)
print([agreed(asked, "cpu") for asked in ((rank == 0), (rank == 1), False)])
"""


def step(stop: StopCallback, number: int, total: int = 10) -> SimpleNamespace:
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    state = SimpleNamespace(global_step=number, max_steps=total, is_world_process_zero=True)
    stop.on_step_end(SimpleNamespace(device="cpu"), state, control)
    return control


def test_the_training_saves_and_ends_at_the_step_after_the_request(tmp_path: Path) -> None:
    stop = StopCallback(tmp_path / "stop")
    control = step(stop, 3)
    assert not (control.should_save or control.should_training_stop or stop.stopped)
    (tmp_path / "stop").touch()
    control = step(stop, 4)
    assert control.should_save and control.should_training_stop and stop.stopped


def test_a_request_at_the_last_step_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    stop = StopCallback(tmp_path / "stop")
    step(stop, 10)
    assert not stop.stopped


def test_every_rank_does_what_the_first_one_found() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ranks = [
        subprocess.Popen([sys.executable, "-c", _RANK, str(rank), port], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    assert {rank.communicate()[0].strip() for rank in ranks} == {"[True, False, False]"}
