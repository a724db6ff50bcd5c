"""Scores of one or several models side by side, for Markdown and for the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .statistics import Difference, paired_difference

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Comparison:
    """A table as text: a title, column names, rows, and what to say below it.

    The first column names the category; the last row is all tasks together.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """The table as Markdown, ending in a newline."""
        lines = [
            f"### {self.title}",
            "",
            _row(self.columns),
            _row(["---"] + ["---:"] * (len(self.columns) - 1)),
            *map(_row, self.rows),
        ]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"

    def rich(self) -> Table:
        """The table for a terminal; the notes stand below it."""
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=self.title, caption="\n".join(map(escape, self.notes)), caption_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(escape(column), justify="right" if number else "left")
        for row in self.rows[:-1]:
            table.add_row(*map(escape, row))
        table.add_section()
        table.add_row(*map(escape, self.rows[-1]), style="bold")
        return table


def compare(
    scores: Mapping[str, Mapping[str, Any]],
    verdicts: Mapping[str, Mapping[str, float]],
    title: str = "Held-out tasks done right",
) -> Comparison:
    """Sets models side by side.

    Args:
        scores: Model name to its `scores.json`, in the order of the columns.
        verdicts: Model name to task id to verdict, or to the share of right attempts.
        title: Of the table.

    Raises:
        ValueError: if there is no model, or not all were given the same tasks.
    """
    if not scores:
        raise ValueError("there is no model to show")
    names = list(scores)
    if any(verdicts[name].keys() != verdicts[names[0]].keys() for name in names):
        raise ValueError(f"{', '.join(names)} were not given the same tasks")
    first = scores[names[0]]
    rows = [
        (category, str(part["tasks"]), *(_share(scores[name]["categories"][category]) for name in names))
        for category, part in first["categories"].items()
    ]
    rows.append(("all", str(first["tasks"]), *(_share(scores[name]) for name in names)))
    attempts = int(first.get("attempts", 1))
    notes = [
        "Share of tasks with every turn right, with Wilson's 95 % interval."
        if attempts == 1
        else f"Share of right attempts, {attempts} a task, with a 95 % interval over the choice of tasks."
    ]
    for earlier, later in pairwise(names):
        change = difference(verdicts[earlier], verdicts[later], attempts)
        notes.append(f"{later} minus {earlier}: {points(change)}")
    notes += [f"{name}: {note}" for name in names for note in attempt_notes(scores[name])]
    return Comparison(title, ("category", "tasks", *names), tuple(rows), tuple(notes))


def difference(earlier: Mapping[str, float], later: Mapping[str, float], attempts: int = 1) -> Difference:
    """How much more often `later` is right, on the same tasks; see `paired_difference`."""
    order = sorted(later)
    return paired_difference([earlier[name] for name in order], [later[name] for name in order], attempts)


def attempt_notes(part: Mapping[str, Any]) -> list[str]:
    """pass@k and the mean over seeds in words, where a figure has them."""
    notes = [
        f"pass@{k} {share(found['value'], found['ci95'])}" for k, found in part.get("pass_at_k", {}).items()
    ]
    if "seeds" in part:
        seeds = part["seeds"]
        each = ", ".join(f"{100 * value:.1f}" for value in seeds["values"].values())
        notes.append(
            f"mean over seeds {', '.join(seeds['values'])}: {share(seeds['mean'], seeds['ci95'])}, "
            f"of {each}; Student's 95 % interval"
        )
    return notes


def points(value: Difference) -> str:
    """A difference of shares in words."""
    return (
        f"{100 * value.mean:+.1f} points on the same tasks "
        f"(95 % interval {100 * value.low:+.1f} to {100 * value.high:+.1f})"
    )


def share(value: float, interval: Sequence[float]) -> str:
    """A share with its interval, as tables show it."""
    return f"{100 * value:.1f} % ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _share(part: Mapping[str, Any]) -> str:
    return share(part["accuracy"], part["ci95"])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
