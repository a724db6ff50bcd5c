"""Several continuations of one beginning: what they share is trained on in one of them alone.

A data set of samples or of a search tree holds rows that begin alike and then differ. Each of them stays, for
its end is its own; a response that several of them hold, with the same thought or without one, is a target in
the first and history in the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .chains import LINK


def are_branches(one: bytes, other: bytes) -> bool:
    """Whether two rows give the same first answer to the same message, and do not say the same throughout.

    Args:
        one: The `links` of a row.
        other: Those of another.
    """
    said = LINK.itemsize - 8  # of a link, all but the thought
    return bool(one) and bool(other) and one[:said] == other[:said] and _end(one) != _end(other)


def _end(row: bytes) -> bytes:
    return row[-LINK.itemsize : -8]


def shared(rows: Sequence[bytes], untrained: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Finds the responses that another row trains on.

    Args:
        rows: The `links` of each row.
        untrained: Numbers of each row's responses that are history already.

    Returns:
        For each row, the numbers of its responses that are to be history as well. Of those that are alike up
        to their answer, each distinct thought stays a target once; one without a thought only if all are.
    """
    table = np.frombuffer(b"".join(rows), LINK)
    found: list[set[int]] = [set() for _ in rows]
    if not len(table):
        return [frozenset() for _ in rows]
    sizes = np.array([len(one) // LINK.itemsize for one in rows], np.int64)
    row = np.repeat(np.arange(len(rows)), sizes)
    place = np.arange(len(table)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    order = np.lexsort((row, table["check"], table["key"]))
    ordered = table[order]
    same = (ordered["key"][1:] == ordered["key"][:-1]) & (ordered["check"][1:] == ordered["check"][:-1])
    groups = np.concatenate([[0], np.cumsum(~same)])
    counts = np.bincount(groups)
    chosen = counts[groups] > 1
    members: dict[int, list[tuple[int, int, int]]] = {}
    for group, at in zip(groups[chosen].tolist(), order[chosen].tolist(), strict=True):
        number, response = int(row[at]), int(place[at])
        if response not in untrained[number]:
            members.setdefault(group, []).append((number, response, int(table["thought"][at])))
    for group_members in members.values():
        taught: set[int] = set()
        thoughts = any(thought for _, _, thought in group_members)
        for number, response, thought in group_members:
            if thought in taught or (thoughts and not thought):
                found[number].add(response)
            taught.add(thought)
    return [frozenset(one) for one in found]
