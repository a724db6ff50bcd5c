"""Rows with a common beginning as one line of tokens, in which nothing is computed twice (pure).

The steps of a conversation repeat its history. Their tokens, laid over one another, are a tree: the history
without thoughts is its trunk, and each step's thought and answer a branch. Where the trunk repeats an answer
without its thought, the tokens have other positions and other ancestors: they differ, and stay apart. The
tree is found in the tokens alone, so it is right for any template, and for several answers to one prompt.

The line is laid out for `models.attention.tree_attention`: each token behind its ancestors, the longest
branch first.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

Ints = NDArray[numpy.int32]


class TreeRow(NamedTuple):
    """One row.

    Attributes:
        ids: Its tokens.
        learned: The first that is learned, which all after it are; at least 1.
        answer: The first token of the answer behind the thought; not before `learned`.
    """

    ids: Ints
    learned: int
    answer: int


class Line(NamedTuple):
    """Rows laid out as trees in one line of T tokens, of which K are learned.

    Attributes:
        ids: (T,) tokens.
        positions: (T,) the place of each token in its row.
        ends: (T,) see `models.attention.tree_attention`.
        places: (K,) the tokens whose logits predict, one row's learned tokens after the other's.
        targets: (K,) the tokens that are to be predicted.
        segments: (K,) `THOUGHT` or `ANSWER`.
        rows: How many rows.
        split: Tokens of the rows alone.
    """

    ids: Ints
    positions: Ints
    ends: Ints
    places: Ints
    targets: Ints
    segments: NDArray[numpy.int8]
    rows: int
    split: int


THOUGHT, ANSWER = 1, 2


def shared(one: Ints, other: Ints) -> int:
    """How many tokens two rows have in common from the first on."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    first = int(differs.argmax()) if length else 0
    return first if length and differs[first] else length


class Rows:
    """Rows that become one tree, kept in the order of their tokens, with the tree's size.

    Attributes:
        rows: The rows.
        size: Tokens of the tree.
    """

    def __init__(self) -> None:
        self.rows: list[TreeRow] = []
        self.size = 0
        self._keys: list[bytes] = []  # bytes that compare as the tokens do

    def more(self, row: TreeRow) -> int:
        """How many tokens `row` would add."""
        place = bisect.bisect_left(self._keys, _key(row))
        beside = self.rows[max(0, place - 1) : place + 1]
        return len(row.ids) - max((shared(row.ids, one.ids) for one in beside), default=0)

    def add(self, row: TreeRow) -> None:
        """Puts `row` in its place."""
        self.size += self.more(row)
        key = _key(row)
        place = bisect.bisect_right(self._keys, key)
        self._keys.insert(place, key)
        self.rows.insert(place, row)


def _key(row: TreeRow) -> bytes:
    return row.ids.astype(">u4").tobytes()


def in_order(rows: Sequence[TreeRow]) -> list[int]:
    """The numbers of the rows in the order of their tokens, equal ones as they were given."""
    return sorted(range(len(rows)), key=lambda number: _key(rows[number]))


def trees(rows: Iterable[TreeRow], most: int | None) -> Iterator[Rows]:
    """The rows of one trajectory as trees of at most `most` tokens: one, if it fits.

    Args:
        rows: None of them longer than `most`.
        most: Tokens of a tree; None: any number.
    """
    tree = Rows()
    for row in rows:
        if tree.rows and most is not None and tree.size + tree.more(row) > most:
            yield tree
            tree = Rows()
        tree.add(row)
    if tree.rows:
        yield tree


class _Node:
    """Tokens `start` to `stop` of a row, up to where rows part."""

    __slots__ = ("children", "parent", "place", "row", "size", "start", "stop")

    def __init__(self, row: int, start: int, stop: int, parent: _Node | None) -> None:
        self.row, self.start, self.stop, self.parent = row, start, stop, parent
        self.children: list[_Node] = []
        self.size = self.place = 0


def laid_out(rows: Sequence[TreeRow]) -> Line:
    """Lays rows out in one line; rows that share no beginning become trees side by side.

    Args:
        rows: In any order; the line's learned tokens are in that of `in_order`.
    """
    rows = [rows[number] for number in in_order(rows)]
    roots, last = _grown(rows)
    order = _order(roots)
    length = sum(node.stop - node.start for node in order)
    ids, positions, ends = (numpy.empty(length, numpy.int32) for _ in range(3))
    for node in order:
        span = slice(node.place, node.place + node.stop - node.start)
        ids[span] = rows[node.row].ids[node.start : node.stop]
        positions[span] = numpy.arange(node.start, node.stop)
        ends[span] = node.place + node.size
    places, targets, segments = [], [], []
    for number, row in enumerate(rows):
        places.append(_places(last[number], row.learned - 1, len(row.ids) - 1))
        targets.append(row.ids[row.learned :])
        segments.append(
            numpy.where(numpy.arange(row.learned, len(row.ids)) < row.answer, THOUGHT, ANSWER).astype(
                numpy.int8
            )
        )
    split = sum(len(row.ids) for row in rows)
    return Line(
        ids,
        positions,
        ends,
        numpy.concatenate(places),
        numpy.concatenate(targets),
        numpy.concatenate(segments),
        len(rows),
        split,
    )


def _grown(rows: Sequence[TreeRow]) -> tuple[list[_Node], list[_Node]]:
    """The trees of sorted rows: their roots, and for each row the node that it ends with."""
    roots: list[_Node] = []
    last: list[_Node] = []
    path: list[_Node] = []  # from a root to the end of the row before
    for number, row in enumerate(rows):
        common = shared(rows[number - 1].ids, row.ids) if number else 0
        while path and path[-1].start >= common:
            path.pop()
        if path and path[-1].stop > common:
            _part(path, common, roots)
        if common < len(row.ids):
            above = path[-1] if path else None
            node = _Node(number, common, len(row.ids), above)
            (above.children if above else roots).append(node)
            path.append(node)
        last.append(path[-1])
    return roots, last


def _part(path: list[_Node], common: int, roots: list[_Node]) -> None:
    """Cuts the last node of `path` in two; the upper half takes its place there."""
    lower = path.pop()
    upper = _Node(lower.row, lower.start, common, lower.parent)
    beside = lower.parent.children if lower.parent else roots
    beside[beside.index(lower)] = upper
    upper.children, lower.parent, lower.start = [lower], upper, common
    path.append(upper)


def _order(roots: Sequence[_Node]) -> list[_Node]:
    """All nodes in the line's order, with their sizes (tokens below and in them) and places."""
    nodes = list(roots)
    for node in nodes:
        nodes += node.children
    for node in reversed(nodes):
        node.size = node.stop - node.start + sum(child.size for child in node.children)
    order: list[_Node] = []
    waiting = [*reversed(roots)]
    place = 0
    while waiting:
        node = waiting.pop()
        node.place = place
        place += node.stop - node.start
        order.append(node)
        # The trunk is nearly always the longest, and so stands in one piece before its branches.
        waiting += sorted(node.children, key=lambda child: child.size)
    return order


def _places(node: _Node | None, first: int, end: int) -> Ints:
    """Where the tokens `first` to `end` of a row stand in the line; `node` is the row's last."""
    pieces: list[Ints] = []
    while node is not None and node.stop > first:
        start, stop = max(node.start, first), min(node.stop, end)
        if start < stop:
            pieces.append(numpy.arange(start, stop, dtype=numpy.int32) + (node.place - node.start))
        node = node.parent
    return numpy.concatenate(pieces[::-1]) if pieces else numpy.empty(0, numpy.int32)
