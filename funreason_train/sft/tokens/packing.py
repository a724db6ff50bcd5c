"""Rows joined into sequences of a given length, each row seeing only itself (pure)."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

#: torch's and transformers' label for "no loss here".
IGNORED = -100
Row = tuple[list[int], list[int]]  # ids and labels
_WINDOW = 4096  # rows among which partners are looked for


def pack(rows: Iterable[Row], length: int) -> Iterator[list[Row]]:
    """Groups rows so that each group has at most `length` tokens: best fit, the longest rows first.

    Args:
        rows: None of them longer than `length`.
        length: Most tokens of a group.
    """
    window: list[Row] = []
    for row in rows:
        window.append(row)
        if len(window) == _WINDOW:
            yield from _fit(window, length)
            window = []
    yield from _fit(window, length)


def _fit(rows: list[Row], length: int) -> Iterator[list[Row]]:
    left: list[tuple[int, int]] = []  # free tokens and the group's number, sorted
    groups: list[list[Row]] = []
    for row in sorted(rows, key=lambda one: -len(one[0])):
        size = len(row[0])
        place = bisect.bisect_left(left, (size, -1))
        if place < len(left):
            free, number = left.pop(place)
        else:
            free, number = length, len(groups)
            groups.append([])
        groups[number].append(row)
        bisect.insort(left, (free - size, number))
    yield from groups


def joined(group: list[Row]) -> dict[str, list[int]]:
    """One sequence of several rows.

    Returns:
        `input_ids` and `labels` one after the other, the rows numbered from 1 in `attention_mask`, the
        `position_ids` of each row from 0. The first label of a row is not learned: it would be predicted from
        another row.
    """
    sequence: dict[str, list[int]] = {
        name: [] for name in ("input_ids", "attention_mask", "position_ids", "labels")
    }
    for number, (ids, labels) in enumerate(group, start=1):
        sequence["input_ids"] += ids
        sequence["attention_mask"] += [number] * len(ids)
        sequence["position_ids"] += range(len(ids))
        sequence["labels"] += [IGNORED, *labels[1:]]
    return sequence
