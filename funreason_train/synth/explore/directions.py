"""Which tools may be called now, and how far each is from a target."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from functools import cached_property

from .graph import Clause, Graph

_MOST_KEPT = 4096  # sets of called tools whose legal ones are remembered


class Directions:
    """A graph as it stands, made ready for sampling.

    A tool is legal when, of every clause of its prerequisites, one tool has been called; a declared
    prerequisite is a clause of one tool, as in the paper. Where tools need each other in a circle, what the
    values need is given up first and what errors taught next, so that sampling can begin somewhere; a tool
    whose declared prerequisites can never be met is `unreachable`.

    Args:
        graph: What was learnt.
        by_value: Whether a value that only another tool's answer holds makes that tool a prerequisite;
            without, such values are taken from the state, as by a user who knows them.
        hinted: Believe names where nothing was seen yet; for learning.
    """

    def __init__(self, graph: Graph, by_value: bool = True, hinted: bool = False) -> None:
        self.names = tuple(name for name in graph.tools if name not in graph.avoided)
        declared = {n: [frozenset({r}) for r in graph.tools[n].requires] for n in self.names}
        learnt = {n: [c] if (c := graph.state_clause(n)) else [] for n in self.names}
        values: dict[str, list[Clause]] = {n: [] for n in self.names}
        for n in self.names if by_value else ():
            found = (graph.hinted_clauses(n) if hinted else {}) | graph.value_clauses(n)
            values[n] = list(found.values())
        self._distances: dict[str, Mapping[str, int]] = {}
        self._legal: dict[frozenset[str], list[str]] = {}
        while True:
            self.clauses: dict[str, tuple[Clause, ...]] = {
                n: (*declared[n], *learnt[n], *values[n]) for n in self.names
            }
            left = self._ungrounded()
            grounded = set(self.names) - left
            unmet = {n: [c for c in (*values[n], *learnt[n]) if not c & grounded] for n in left}
            giving = next((part for part in (values, learnt) if _unmet(part, left, grounded)), None)
            if giving is None:
                break
            # One at a time, the nearest to being met first: giving up more than needed shortens the chains.
            some = min(_unmet(giving, left, grounded), key=lambda n: (len(unmet[n]), self.names.index(n)))
            giving[some] = [clause for clause in giving[some] if clause & grounded]
        self.unreachable = frozenset(left)

    def _ungrounded(self) -> set[str]:
        """The tools that no order of calls makes legal."""
        left, grounded = set(self.names), set[str]()
        while ready := [n for n in left if all(clause & grounded for clause in self.clauses[n])]:
            grounded.update(ready)
            left.difference_update(ready)
        return left

    def is_legal(self, tool: str, called: Collection[str]) -> bool:
        """Whether every prerequisite has been called."""
        return all(not clause.isdisjoint(called) for clause in self.clauses[tool])

    def legal(self, called: Collection[str]) -> list[str]:
        """All legal tools, in the environment's order."""
        key = frozenset(called)
        if (found := self._legal.get(key)) is None:
            if len(self._legal) >= _MOST_KEPT:
                self._legal.clear()
            found = self._legal[key] = [name for name in self.names if self.is_legal(name, called)]
        return found.copy()

    def distances(self, target: str) -> Mapping[str, int]:
        """Tool -> how many edges lie between it and the target; tools that do not lead there are left out."""
        if target not in self._distances:
            found, queue = {target: 0}, deque([target])
            while queue:
                name = queue.popleft()
                for before in sorted(set().union(*self.clauses.get(name, ()))):
                    if before in self.clauses and before not in found:
                        found[before] = found[name] + 1
                        queue.append(before)
            self._distances[target] = found
        return self._distances[target]

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The tools that can be targets."""
        return tuple(name for name in self.names if name not in self.unreachable)


def _unmet(part: Mapping[str, list[Clause]], left: Collection[str], grounded: Collection[str]) -> list[str]:
    """The tools of which this part holds a clause that cannot be met."""
    return [name for name in left if any(clause.isdisjoint(grounded) for clause in part[name])]
