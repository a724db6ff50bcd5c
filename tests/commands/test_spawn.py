"""A stage in a process of its own: what becomes of the processes it had started when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands.staged import SFT, config_of

from funreason_train.commands.execution import memory, spawn
from funreason_train.run.paths import RunDir

HERE = Path(__file__)


def starts_another_and_is_killed(job: Any) -> None:
    """As the kernel does where memory is short; the other is of a session of its own, as servers are."""
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    folder = Path(job["run"])
    (folder / "other.tmp").write_text(str(other.pid))
    (folder / "other.tmp").rename(folder / "other")
    while not (folder / "seen").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_stage_leaves_behind_is_ended(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(memory.PeakMemory):
        """Lets the stage be killed once its process was seen."""

        def sample(self, at_once: bool = False) -> None:
            super().sample(at_once=True)
            other = run.root / "other"
            if other.exists() and int(other.read_text()) in {one.pid for one in self.family}:
                (run.root / "seen").touch()

    monkeypatch.setattr(spawn, "RUN_STAGE", f"{HERE.stem}:{starts_another_and_is_killed.__name__}")
    monkeypatch.setattr(spawn, "PeakMemory", Watched)
    monkeypatch.setattr(spawn, "_FOLLOW_SECONDS", 0.1)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(map(str, (HERE.parents[2], HERE.parents[1], HERE.parent)))
    )
    with (run.root / "lock").open("w") as lock, pytest.raises(spawn.StageFailed) as failed:
        spawn.spawn(SFT, config_of(run), run, lock.fileno(), run.root / "sft.log")
    assert failed.value.code == -signal.SIGKILL
    other = int((run.root / "other").read_text())
    for _ in range(100):
        if not psutil.pid_exists(other) or psutil.Process(other).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    os.kill(other, signal.SIGKILL)
    raise AssertionError("it was still running")
