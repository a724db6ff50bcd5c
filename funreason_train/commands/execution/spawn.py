"""Starts a stage in a process of its own and follows it to its end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ...run.beat import VARIABLE as BEATS_VARIABLE
from ...run.paths import RunDir
from ...run.process import Child, ChildFailed
from ...run.progress import VARIABLE as PROGRESS_VARIABLE
from ...run.stage import RUN_STAGE, Stage
from ..supervise.guard import Guard
from .follow import StageDisplay
from .memory import PeakMemory
from .prose import failure
from .stop import StopRequest

if TYPE_CHECKING:
    from omegaconf import DictConfig


#: How long the processes of a stage that was ended may take to follow it.
_FOLLOW_SECONDS = 10.0


class StageFailed(Exception):
    """A stage crashed or hung; the message names its log and shows its first error.

    Attributes:
        log: Its log; None if its output went to the screen.
        code: How its process ended; None if it was ended because it hung.
        why: The exception that ended it, on one line; empty if it left no message.
        hung: Whether it was ended because nothing moved any more.
        told: What else is known, in sentences.
    """

    def __init__(
        self,
        message: str,
        log: Path | None = None,
        code: int | None = None,
        why: str = "",
        hung: bool = False,
        told: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.log, self.code, self.why, self.hung, self.told = log, code, why, hung, tuple(told)

    def add(self, sentence: str) -> None:
        """Adds a line to the message."""
        if sentence:
            self.args = (f"{self.args[0]}\n  {sentence}",)


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
    progress = run.progress(stage.name)
    progress.parent.mkdir(exist_ok=True)
    progress.unlink(missing_ok=True)
    on_screen = config.output == "screen"
    guard = _guard(stage, config, run)
    child = Child(
        RUN_STAGE,
        {"stage": stage.name, "config": str(run.config), "run": str(run.root)},
        environment={
            PROGRESS_VARIABLE: str(progress),
            "PYTHONUNBUFFERED": "1",
            **({BEATS_VARIABLE: str(guard.folder)} if guard else {}),
        },
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
            if guard and (found := guard.look(child.pid)):
                told = [f"{found.hang}.", f"Stacks are in {found.stacks}: {'; '.join(found.told)}."]
                message = f"the stage '{stage.name}' hangs: {found.hang}\n  its stacks: {found.stacks}"
                peak.sample(at_once=True)
                child.end()
                _end_all(peak.family)
                raise StageFailed(message, None if on_screen else log, hung=True, told=told)
            time.sleep(0.5)
        try:
            return dict(child.result() or {}), peak.bytes
        except ChildFailed as error:
            if stop.terminated and error.code == -signal.SIGTERM:  # both were told, by the launch script
                raise KeyboardInterrupt from None
            if error.code < 0:  # killed, so it could not end what it had started
                _end_all(peak.family)
            shown = None if on_screen else log
            raise StageFailed(failure(stage.name, error, shown), shown, error.code, error.why) from None


def _end_all(family: Iterable[psutil.Process]) -> None:
    """Waits for the processes of a stage that was ended, and kills those that do not follow it.

    Ray's agents, for one, spend a minute on telling a head that is gone that their raylet is gone too.
    """
    _, alive = psutil.wait_procs(list(family), timeout=_FOLLOW_SECONDS)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()


def _guard(stage: Stage, config: DictConfig, run: RunDir) -> Guard | None:
    """The stage's watchdog, where it is supervised."""
    if not config.supervise:
        return None
    stacks = run.incidents / f"{time.strftime('%Y%m%d-%H%M%S')}-{stage.name}.stacks"
    return Guard(
        run.beats(stage.name),
        run.progress(stage.name),
        stacks,
        config.supervision.hang_seconds,
        config.supervision.start_seconds,
    )
