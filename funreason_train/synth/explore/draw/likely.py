"""How likely a value's source is: by names, by what errors asked for, and by how calls with it have ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ....environments.mcp import PREFIX
from ..graph import Graph
from ..state import State
from ..words import is_searched, names_it, thing_of, tokens

LIKE = 0.5
"""Least likeness of names for a value to be tried."""

_IDS = frozenset(("id", "uuid", "guid"))
_CURIOUS, _TRIED = 4, 20.0  # invented values of a parameter that are tried all the same, and how likely


class Likely:
    """What a drawer knows of sources; what is worked out of a graph that stands still is kept there.

    Args:
        graph: What is known of the tools; not changed but for what it keeps.
        state: What the conversation starts from.
        learning: Whether the graph is still learning.

    Attributes:
        foreign: Whether others wrote the tools: a server's, or a class of the user's own.
    """

    def __init__(self, graph: Graph, state: State, learning: bool) -> None:
        self._graph, self._state, self._learning = graph, state, learning
        # Of a server's documents less can be expected than of those that were written for this.
        self._served = graph.environment.startswith(PREFIX)
        self.foreign = self._served or ":" in graph.environment
        self._tool = ""
        self._labels: dict[tuple[str, str], list[str]] = {}

    def _likely(self, place: str, priors: Mapping[str, float]) -> Iterable[str]:
        """The labels of the state that may be tried; while learning, all of them."""
        if self._learning:
            return self._state.values
        key = (self._tool, place)
        if (found := self._labels.get(key)) is None:
            found = [label for label in self._state.values if priors.get(label) != 0.0]
            if all(label in priors for label in found):
                self._labels[key] = found
        return found

    def _opaque(self, place: str) -> bool:
        """As `Graph.opaque`, asked once where nothing is learnt."""
        if self._learning:
            return self._graph.opaque(self._tool, place)
        known, key = self._graph.opaques, (self._tool, place)
        if (found := known.get(key)) is None:
            found = known[key] = self._graph.opaque(self._tool, place)
        return found

    def _priors(self, place: str, kind: str) -> dict[str, float]:
        """Label -> how likely it is before anything was learnt of it, as far as that is known by now."""
        if self._learning:
            return {}
        return self._graph.priors.setdefault((self._tool, place, kind), {})

    def _named(self, place: str, label: str) -> bool:
        """Whether a server's values under a label are what a parameter's own name says, or have worked."""
        if not self._served or self._learning or _own(place, label):
            return self._served
        return self._graph.tools[self._tool].sources.get(place, {}).get(f"result:{label}", (0, 0))[0] > 1

    def _is_id_for_text(self, place: str, label: str) -> bool:
        """Whether a label holds ids, and the parameter takes any text and is not named after them: the body
        of a note is no id, though it is described as `the note's text`.
        """
        ids = not _IDS.isdisjoint(tokens(label.rpartition("/")[2]))
        return self.foreign and ids and not self._learning and not _own(place, label)

    def _prior_of(self, label: str, place: str, kind: str) -> float:
        """How likely a source is before anything was learnt of it; 0 for one that is not tried."""
        if kind == "result" and self._is_id_for_text(place, label) and not self._opaque(place):
            return 0.0
        like = self._graph.likeness(self._tool, place, label)
        found = like**2 * 2.0 if like >= LIKE else 0.0
        if kind == "said" and self._served and is_searched(place.rpartition(".")[2]):
            return max(found, 1.0)  # people look for what they have spoken of
        record, source = self._graph.tools[self._tool], f"{kind}:{label}"
        if source in record.asked.get(place, ()):
            return max(found, 1.0)
        known = record.sources.get(place, {}).get(source)
        if known and known[0] >= 2 and 4 * known[0] >= known[1] and self._opaque(place):
            return max(found, 1.0)
        return found

    def _weight(self, place: str, label: str, prior: float) -> float:
        """The prior, corrected by how calls with a value from there have ended."""
        ok, failed = self._graph.tools[self._tool].sources.get(place, {}).get(label, (0, 0))
        if label == "made" and self._learning and self.foreign and ok + failed < _CURIOUS:
            return max(prior, _TRIED)  # else nobody learns that any name would do for what is made
        share = (ok + 1.0) / (ok + failed + 1.5)
        return prior * (share if self._learning else share**3) + 1e-6


def _own(place: str, label: str) -> bool:
    return names_it(thing_of(place.rpartition(".")[2]), label) >= LIKE
