"""Shows how far a stage is: a bar on a terminal, plain lines with the time of day anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from ...run.files import is_full
from ...run.progress import Progress as Report
from ...run.progress import read
from .. import display
from .pace import Pace, time_of_end, words

_EVERY = 30.0  # seconds between two lines of one phase
_SOON = 1.0  # seconds before a new phase has a line of its own


class StageDisplay:
    """Follows a stage's progress file.

    Args:
        title: The stage.
        path: The file (see `run.progress`).
        enabled: False shows nothing, since the stage's own output goes to the screen.
        clock: Seconds.
        time_of_day: What a line begins with.
        now: What the expected end counts from.
    """

    def __init__(
        self,
        title: str,
        path: Path,
        enabled: bool,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._title, self._path, self._enabled = title, path, enabled
        self._clock, self._time_of_day, self._now = clock, time_of_day, now
        self._pace = Pace(clock())
        self._bar = _Bar(title) if enabled and display.console.is_terminal else None
        self._told: Report | None = None
        self._told_at = float("-inf")

    def __enter__(self) -> StageDisplay:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def refresh(self) -> None:
        """Reads the latest report and shows it; a full disk that the lines go to must not end the stage."""
        if not self._enabled:
            return
        try:
            self._refresh()
        except OSError as error:
            if not is_full(error):
                raise

    def _refresh(self) -> None:
        report, now = read(self._path), self._clock()
        left = self._pace.left(report, now) if report else None
        end = "" if left is None else time_of_end(left, self._now())
        text = words(report, now - self._pace.started, left, end)
        if self._bar:
            self._bar.show(report, text)
        elif self._worth_a_line(report, now):
            self._told, self._told_at = report, now
            display.say(f"{self._time_of_day()} {self._title}: {text}")

    def _worth_a_line(self, report: Report | None, now: float) -> bool:
        """A new phase at once; otherwise one now and then, also where nothing moves."""
        if now - self._told_at >= _EVERY:
            return True
        before = self._told
        if report is None or now - self._told_at < _SOON:
            return False
        counted = before is not None and report.total is not None and report.total == before.total
        return report != before and not counted


class _Bar(Progress):
    """Two lines that fit 80 columns: what and how far, then times and words."""

    def __init__(self, title: str) -> None:
        self._below = ""
        super().__init__(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            console=display.console,
            transient=True,
            expand=True,
        )
        self._task = self.add_task(title, total=None)

    def show(self, report: Report | None, text: str) -> None:
        """Redraws."""
        self._below = text
        if report is not None:
            self.update(self._task, completed=report.done, total=report.total)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the line below it, cut off where the screen ends."""
        yield self.make_tasks_table(self.tasks)
        yield Text(f"  {self._below}", no_wrap=True, overflow="ellipsis", style="dim")
