"""The watchdog of a stage that runs: looks at its signs of life, and writes all stacks before it is ended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from ...run.beat import IDLE, Beat, beats
from ...run.progress import read
from .stacks import write_stacks
from .watchdog import Hang, Watch

_INTERVAL = 2.0  # seconds between two looks


@dataclass(frozen=True)
class Found:
    """A hang with what was written about it.

    Attributes:
        hang: What does not move.
        stacks: The folder of the stacks.
        told: What was written there, in sentences.
    """

    hang: Hang
    stacks: Path
    told: list[str]


class Guard:
    """Looks after one stage.

    Args:
        folder: Of the signs of life; emptied here.
        progress: The stage's report of its progress, which moves where there are no signs.
        stacks: Where stacks are written, should it come to that.
        hang_seconds: See `Watch`.
        start_seconds: See `Watch`.
        interval: Seconds between two looks.
        clock: Seconds.
    """

    def __init__(
        self,
        folder: Path,
        progress: Path,
        stacks: Path,
        hang_seconds: float,
        start_seconds: float,
        interval: float = _INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._progress, self._stacks = progress, stacks
        self._interval, self._clock = interval, clock
        self._watch = Watch(hang_seconds, start_seconds, clock())
        self._next = clock() + interval

    def look(self, root: int) -> Found | None:
        """Looks, if it is time to.

        Args:
            root: The stage's process.

        Returns:
            What hangs, once the stacks of all processes are written; None if all is well.
        """
        now = self._clock()
        if now < self._next:
            return None
        self._next = now + self._interval
        said = _of_the_living(beats(self.folder))
        hang = self._watch.look({**said, "stage": self._stage(root, bool(said))}, now)
        if hang is None:
            return None
        return Found(hang, self._stacks, write_stacks(root, self.folder, said, self._stacks))

    def _stage(self, root: int, others: bool) -> Beat:
        """What the stage as a whole reports; it is taken to wait for those who say more."""
        report = read(self._progress)
        text = report.text if report else "starting"
        done, total = (report.done, report.total or 0) if report else (-1, 0)
        return Beat("stage", root, text, IDLE if others else "at work", done, total)


def _of_the_living(said: dict[str, Beat]) -> dict[str, Beat]:
    """Without the signs of processes of this machine that have ended."""
    here = os.uname().nodename
    return {who: beat for who, beat in said.items() if beat.host != here or psutil.pid_exists(beat.pid)}
