"""Rejected rows to look at: some of every source and reason."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..run.files import read_lines

_LONGEST = 4_000  # characters of a row that are shown
_READ = 400_000  # lines of the file that are looked at


@dataclass(frozen=True)
class Rejected:
    """One row that was not used.

    Attributes:
        source: The data set.
        reason: Why, as in `read.rows.REASONS`.
        position: Where it stands in its file.
        detail: What exactly is wrong.
        row: Its beginning; JSON with a line a field.
    """

    source: str
    reason: str
    position: str
    detail: str
    row: str


def some_rejected(file: Path, each: int) -> tuple[Counter[tuple[str, str]], list[Rejected]]:
    """The first rows of each source and reason, in the order of the file.

    Args:
        file: `rejected.jsonl`; one that is not there holds nothing.
        each: Most rows of a source and reason.

    Returns:
        Rows by source and reason, and those to show.
    """
    counts: Counter[tuple[str, str]] = Counter()
    shown = []
    for place, line in enumerate(read_lines(file)):
        if place >= _READ:
            break
        if isinstance(line, dict):
            key = (str(line.get("source")), str(line.get("reason")))
            counts[key] += 1
            if counts[key] <= each:
                position = str(line.get("position") or line.get("id") or "")
                detail = str(line.get("detail") or "")[:500]
                shown.append(Rejected(*key, position, detail, _text(line.get("row"))))
    return counts, shown


def _text(row: Any) -> str:
    """A row with a line a field, where it is JSON of a size to be read."""
    if isinstance(row, str):
        if len(row) > 100_000:
            return row[:_LONGEST]
        try:
            row = json.loads(row)
        except (ValueError, RecursionError):
            return row[:_LONGEST]
    try:
        return json.dumps(row, ensure_ascii=False, indent=1)[:_LONGEST]
    except RecursionError:
        return "(nested too deep to be shown)"
