"""Rounds of samples: each is sampled with graphs that hold what the rounds before it have shown.

Within a round the graphs stand still, so that a sample is the same whoever makes it and whenever. A round is
twice as long as the one before, since the more is known the less there is to learn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from ..explore.graph import Graph
from ..explore.seen import add
from .store import Store

_EVER = 2**62  # no sample has a greater number


def rounds(first: int | None, limit: int) -> Iterator[range]:
    """The numbers of the samples of each round.

    Args:
        first: Samples of the first round; None for one round of everything.
        limit: Samples in all.
    """
    for number in count():
        found = _range(first, number)
        if found.start >= limit:
            return
        yield range(found.start, min(limit, found.stop))


def _range(first: int | None, number: int) -> range:
    if first is None:
        return range(number and _EVER, _EVER)
    start = first * (2**number - 1)
    return range(start, start + first * 2**number)


class Rounds:
    """The graphs of every round, which stand in the store as soon as they are made.

    Each split begins with what was learnt before any sampling, so that the tasks that measure do not depend
    on how much training data is made.

    Args:
        store: Holds the samples and what they have shown.
        learnt: Environment -> what was learnt before.
        first: See `rounds`.
    """

    def __init__(self, store: Store, learnt: Mapping[str, Graph], first: int | None) -> None:
        self._store, self._learnt, self._first = store, learnt, first

    def graphs(self, split: str, number: int) -> dict[str, Any]:
        """Environment -> the graph of a round as JSON; all samples of the rounds before have to be there."""
        if number == 0:
            return {name: graph.to_json() for name, graph in self._learnt.items()}
        note = f"round/{split}/{number}"
        if (held := self._store.note(note)) is None:
            graphs = self._added(self.graphs(split, number - 1), split, _range(self._first, number - 1))
            held = json.dumps({name: graph.to_json() for name, graph in graphs.items()})
            self._store.keep(note, held)
        found: dict[str, Any] = json.loads(held)
        return found

    def after(self, split: str, end: int) -> dict[str, Graph]:
        """Environment -> the graph with all that the samples before a number have shown."""
        number = next(number for number in count() if _range(self._first, number).stop >= end)
        start = _range(self._first, number).start
        return self._added(self.graphs(split, number), split, range(start, end))

    def _added(self, graphs: Mapping[str, Any], split: str, numbers: range) -> dict[str, Graph]:
        found = {name: Graph.from_json(value) for name, value in graphs.items()}
        for environment, seen in self._store.seen(split, numbers):
            add(found[environment], seen)
        return {name: Graph.from_json(graph.to_json()) for name, graph in found.items()}
