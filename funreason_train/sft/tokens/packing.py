"""Rows joined into sequences of a given length, each row seeing only itself (pure)."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

#: torch's and transformers' label for "no loss here".
IGNORED = -100
Row = tuple[list[int], list[int]]  # ids and labels
One = TypeVar("One")
_WINDOW = 4096


def _tokens(row: Any) -> int:
    return len(row[0])


def pack(
    rows: Iterable[One], length: int, tokens: Callable[[One], int] = _tokens, among: int = _WINDOW
) -> Iterator[list[One]]:
    """Groups rows so that each group has at most `length` tokens: best fit, the longest rows first.

    Args:
        rows: `Row`, or anything that `tokens` measures; none of them longer than `length`.
        length: Most tokens of a group.
        tokens: How long one is.
        among: How many at once partners are looked for; they are kept in memory.
    """
    window: list[One] = []
    for row in rows:
        window.append(row)
        if len(window) == among:
            yield from _fit(window, length, tokens)
            window = []
    yield from _fit(window, length, tokens)


def _fit(rows: list[One], length: int, tokens: Callable[[One], int]) -> Iterator[list[One]]:
    left: list[tuple[int, int]] = []  # free tokens and the group's number, sorted
    groups: list[list[One]] = []
    for row in sorted(rows, key=lambda one: -tokens(one)):
        size = tokens(row)
        place = bisect.bisect_left(left, (size, -1))
        if place < len(left):
            free, number = left.pop(place)
        else:
            free, number = length, len(groups)
            groups.append([])
        groups[number].append(row)
        bisect.insort(left, (free - size, number))
    yield from groups


def joined(group: Sequence[Sequence[list[int]]]) -> dict[str, list[int]]:
    """One sequence of several rows.

    Args:
        group: Ids and labels of each row, and perhaps its segments.

    Returns:
        `input_ids` and `labels` one after the other, the rows numbered from 1 in `attention_mask`, the
        `position_ids` of each row from 0. The first label of a row is not learned: it would be predicted from
        another row. Where rows have them, `segments` one after the other.
    """
    sequence: dict[str, list[int]] = {
        name: [] for name in ("input_ids", "attention_mask", "position_ids", "labels")
    }
    for number, (ids, labels, *segments) in enumerate(group, start=1):
        sequence["input_ids"] += ids
        sequence["attention_mask"] += [number] * len(ids)
        sequence["position_ids"] += range(len(ids))
        sequence["labels"] += [IGNORED, *labels[1:]]
        for one in segments:
            sequence.setdefault("segments", []).extend(one)
    return sequence
