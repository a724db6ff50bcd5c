"""Starts a stage in a process of its own and follows it to its end."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...run.paths import RunDir
from ...run.process import Child, ChildFailed
from ...run.progress import VARIABLE as PROGRESS_VARIABLE
from ...run.stage import Stage
from .follow import StageDisplay
from .memory import PeakMemory
from .prose import failure
from .stop import StopRequest

if TYPE_CHECKING:
    from omegaconf import DictConfig


class StageFailed(Exception):
    """A stage crashed; the message names its log and shows its first error."""


def spawn(stage: Stage, config: DictConfig, run: RunDir, lock: int, log: Path) -> tuple[dict[str, Any], int]:
    """Runs a stage to its end; interrupted, it ends the stage as Ctrl-C would.

    Args:
        stage: Which.
        config: Of the command; the stage reads it from `run.config`.
        run: The run directory.
        lock: The descriptor of the run directory's lock.
        log: Where its output goes.

    Returns:
        The stage's result, and the peak of its memory in bytes.

    Raises:
        UserError: the stage's own.
        StageFailed: if it crashed.
        StageStopped: if it was ended as asked.
        KeyboardInterrupt: if it was ended from outside.
    """
    progress = run.root / ".stage" / f"{stage.name}.progress"
    progress.parent.mkdir(exist_ok=True)
    progress.unlink(missing_ok=True)
    on_screen = config.output == "screen"
    child = Child(
        f"{__package__}.worker:run_stage",
        {"stage": stage.name, "config": str(run.config), "run": str(run.root)},
        environment={PROGRESS_VARIABLE: str(progress), "PYTHONUNBUFFERED": "1"},
        log=None if on_screen else log,
        inherit=(lock,),
    )
    stop = StopRequest(stage.title, run.stop(stage.name), heeded=stage.nodes)
    with child, stop, StageDisplay(stage.title, progress, enabled=not on_screen) as display:
        peak = PeakMemory(child.pid)
        while child.poll() is None:
            display.refresh()
            peak.sample()
            stop.look()
            time.sleep(0.5)
        try:
            return dict(child.result() or {}), peak.bytes
        except ChildFailed as error:
            if stop.terminated and error.code == -signal.SIGTERM:  # both were told, by the launch script
                raise KeyboardInterrupt from None
            raise StageFailed(failure(stage.name, error, None if on_screen else log)) from None
