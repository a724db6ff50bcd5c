"""What the user sees while a stage runs in its own process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.box import SIMPLE
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..run.progress import read

#: Everything that a person reads goes here; results for programs are in files.
console = Console()


def say(text: str) -> None:
    """Prints a sentence as it is: paths and settings are neither folded nor coloured."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


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


def print_markdown(text: str) -> None:
    """Prints headings, tables and notes of a Markdown file; unlike rich's own reader it shortens no cell."""
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        if line.startswith("| "):
            rows = [line]
            while lines and lines[0].startswith("| "):
                rows.append(lines.pop(0))
            console.print(_table([_cells(row) for row in rows]))
        elif line.startswith("#"):
            console.print(line.lstrip("# "), style="bold", markup=False, highlight=False)
        elif line:
            console.print(line, markup=False, highlight=False)


def _cells(row: str) -> list[str]:
    cells = row.removeprefix("|").removesuffix("|").replace("\\|", "\0").split("|")
    return [cell.strip().replace("\0", "|") for cell in cells]


def _table(rows: list[list[str]]) -> Table | Text:
    """The table, or where its words do not fit side by side a paragraph for each row."""
    head, marks, *body = rows
    words = (
        max(len(word) for row in [head, *body] for word in row[n].split() or [""]) for n in range(len(head))
    )
    if sum(words) + 3 * len(head) > console.width:  # with the space between columns
        return Text("\n").join(_paragraph(head, row) for row in body)
    table = Table(box=SIMPLE)
    for title, mark in zip(head, marks, strict=True):
        justify: JustifyMethod = "right" if mark.endswith(":") else "left"
        table.add_column(escape(title), justify=justify, overflow="fold")
    for row in body:
        table.add_row(*map(escape, row))
    return table


def _paragraph(head: list[str], row: list[str]) -> Text:
    cells = (f"{title} {cell}" for title, cell in zip(head[1:], row[1:], strict=True) if cell)
    return Text.assemble("  ", (row[0], "bold"), ": ", "; ".join(cells))
