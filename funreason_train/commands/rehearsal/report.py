"""A rehearsal in tables: what ran, what was scaled down, what was not rehearsed (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...pages.table import Table
from .plan import Rehearsal
from .unrehearsed import Gap, by_value, shown

_GIB = 2**30
#: What makes it a rehearsal, and no change of the recipe's.
_OWN = ("pipeline.rehearse", "dry_run", "run_dir")


def steps_table(record: Mapping[str, Any]) -> Table:
    """What each step took.

    Args:
        record: As `play` leaves it.
    """
    head = ("stage", "hosts", "time", "CPU seconds", "memory", "")
    rows = [
        (
            step["stage"],
            str(step["hosts"]),
            f"{step['seconds']:.0f} s",
            f"{step['cpu_seconds']:.0f}",
            f"{step['peak_bytes'] / _GIB:.1f} GiB",
            _words(step),
        )
        for step in record["steps"]
    ]
    total = (
        "all",
        str(record["hosts"]),
        f"{sum(step['seconds'] for step in record['steps']):.0f} s",
        f"{sum(step['cpu_seconds'] for step in record['steps']):.0f}",
        f"{max(step['peak_bytes'] for step in record['steps']) / _GIB:.1f} GiB",
        f"{'done' if record['done'] else 'not done'} ({record['network']})",
    )
    return Table("Rehearsal", head, (*rows, total), texts=1, total=True)


def _words(step: Mapping[str, Any]) -> str:
    if step["code"]:
        return f"failed, code {step['code']}"
    if step["failed_host"] is None:
        return "done"
    how = "the same command continued" if step["attempts"] > 1 else "it went on by itself"
    return f"done; {step['failed_host']} was switched off, {how}"


def changes_table(rehearsal: Rehearsal) -> Table:
    """The settings that differ from the recipe's."""
    rows = []
    for key, value in rehearsal.changes.items():
        before: Any = rehearsal.recipe
        for part in key.split("."):
            before = before.get(part) if isinstance(before, Mapping) else None
        if before != value and key not in _OWN:
            rows.append((key, shown(before), shown(value)))
    return Table("Scaled down", ("setting", "recipe", "rehearsal"), tuple(rows), texts=3)


def gap_lines(missing: Sequence[Gap]) -> list[str]:
    """What was not rehearsed, a line each, for a screen."""
    width = max((len(gap.part) for gap in missing), default=0)
    return [f"{gap.part:<{width}}  {gap.what}: {gap.there} -> {gap.here}" for gap in by_value(missing)]


def change_lines(rehearsal: Rehearsal) -> list[str]:
    """The settings that differ from the recipe's, a line each."""
    return [f"{key}: {before} -> {after}" for key, before, after in changes_table(rehearsal).rows]


def gaps_table(missing: Sequence[Gap]) -> Table:
    """What was not rehearsed."""
    return Table(
        "Not rehearsed", ("part", "what", "on its machines", "here"), tuple(by_value(missing)), texts=4
    )


def report(rehearsal: Rehearsal, record: Mapping[str, Any], missing: Sequence[Gap]) -> str:
    """All of it as Markdown."""
    tables = (steps_table(record), gaps_table(missing), changes_table(rehearsal))
    commands = "\n".join(step.line() for step in rehearsal.steps)
    return "\n".join(table.markdown() for table in tables) + f"\n### Commands\n\n```\n{commands}\n```\n"
