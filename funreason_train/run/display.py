"""What the user sees while a stage runs in its own process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..progress import read

#: Everything that a person reads goes here; results for programs are in files.
console = Console()

_SPEED_PERIOD = 600.0  # seconds over which the time left is estimated: single steps and long tasks vary


class StageDisplay:
    """A bar that follows a stage's progress file, with the time it took and the time that is left."""

    def __init__(self, title: str, path: Path, enabled: bool) -> None:
        self._path = path
        self._enabled = enabled
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            speed_estimate_period=_SPEED_PERIOD,
            transient=True,
            disable=not enabled,
        )
        self._task = self._bar.add_task(title, total=None, text="starting")

    def __enter__(self) -> StageDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def refresh(self) -> None:
        """Reads the latest report and redraws."""
        if self._enabled and (now := read(self._path)) is not None:
            self._bar.update(self._task, completed=now.done, total=now.total, text=now.text)
