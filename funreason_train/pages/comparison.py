"""Scores of one or several models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .statistics import Difference, paired_difference
from .table import Table


def compare(
    scores: Mapping[str, Mapping[str, Any]],
    verdicts: Mapping[str, Mapping[str, float]],
    title: str = "Held-out tasks done right",
) -> Table:
    """Sets models side by side; the last row is all tasks together.

    Args:
        scores: Model name to its `scores.json`, in the order of the columns.
        verdicts: Model name to task id to verdict, or to the share of right attempts.
        title: Of the table.

    Raises:
        ValueError: if there is no model, or not all were given the same tasks as often.
    """
    if not scores:
        raise ValueError("there is no model to show")
    names = list(scores)
    if any(verdicts[name].keys() != verdicts[names[0]].keys() for name in names):
        raise ValueError(f"{', '.join(names)} were not given the same tasks")
    files = {one["tasks_sha256"] for one in scores.values() if one.get("tasks_sha256")}
    if len(files) > 1:  # whose tasks may have the same ids
        raise ValueError(f"{', '.join(names)} were given tasks of different files")
    if len({int(one.get("attempts", 1)) for one in scores.values()}) > 1:
        raise ValueError(f"{', '.join(names)} were not given the same number of attempts at each task")
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
    if broken := max(int(scores[name].get("broken_tasks", 0)) for name in names):
        notes.append(f"{broken} further tasks are counted apart: their environment failed.")
    notes += [f"{name}: {note}" for name in names for note in attempt_notes(scores[name])]
    return Table(title, ("category", "tasks", *names), tuple(rows), notes=tuple(notes), total=True)


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
