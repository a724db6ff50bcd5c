"""What one conversation adds to a graph: counts of its own, small enough to stay with its sample.

Traces are sampled with a graph that stands still, so that who samples what does not matter. What they show is
counted here and added afterwards, sample by sample: the graph that comes out is the same for any number of
workers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .graph import Graph
from .records import ToolRecord

_MOST_FLOWS = 20_000  # different flows of an environment that are kept


class Seen(Graph):
    """Counts what calls show, read in the light of a graph that is not changed.

    Args:
        known: The graph.
    """

    def __init__(self, known: Graph) -> None:
        super().__init__(known.environment, ())
        self._base = known
        self.tools = _Records(known)

    def _known(self, record: ToolRecord, tool: str) -> ToolRecord:
        return self._base.tools[tool]

    def to_json(self) -> dict[str, Any]:
        """What was counted, as JSON values; what was not is left out. See `add`."""
        tools = {name: _some(one.counts()) for name, one in sorted(self.tools.items())}
        return _some(
            {
                "tools": _some(tools),
                "flows": [[*flow, count] for flow, count in sorted(self.flows.items())],
                "keys": sorted(map(list, self.keys)),
            }
        )


class _Records(dict[str, ToolRecord]):
    """A record for each tool of a graph, as soon as it is asked for."""

    def __init__(self, known: Graph) -> None:
        super().__init__()
        self._tools = known.tools

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._tools else default

    def __missing__(self, name: str) -> ToolRecord:
        one = self._tools[name]
        self[name] = ToolRecord(one.document, one.requires)
        return self[name]


def _some(value: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say something."""
    return {key: one for key, one in value.items() if one and one != [0, 0]}


def add(graph: Graph, seen: Iterable[Mapping[str, Any]]) -> None:
    """Adds what conversations have shown (`Seen.to_json`) to the graph, in their order.

    Args:
        graph: Is changed. What it has worked out from its counts before is not renewed: make a new one of its
            JSON form before it is sampled with.
        seen: One for each conversation.
    """
    helpless = [name for name, record in graph.tools.items() if not record.enabled]
    for one in seen:
        for name, counts in one.get("tools", {}).items():
            record = ToolRecord(graph.tools[name].document)
            record.read(counts)
            graph.tools[name].merge(record)
        for *flow, count in one.get("flows", ()):
            key = (flow[0], flow[1], flow[2], flow[3])
            if key in graph.flows or len(graph.flows) < _MOST_FLOWS:
                graph.flows[key] += count
        graph.keys |= {(tool, parameter) for tool, parameter in one.get("keys", ())}
    for record in (graph.tools[name] for name in helpless):
        if record.enabled and record.failed > record.ok:
            record.unaided = [0, 0]  # counted while nobody knew what helps, so with help and without


def changes(before: Graph, after: Graph) -> dict[str, Any]:
    """How a graph was changed by sampling.

    Args:
        before: As it was learnt first.
        after: As it is now.

    Returns:
        `{"calls": executed in between, "edges_added": [[from, to, kind], …], "edges_removed": the same}`.
    """
    old, new = before.edges(), after.edges()
    calls = Counter({name: one.ok + one.failed for name, one in after.tools.items()}).total() - sum(
        one.ok + one.failed for one in before.tools.values()
    )
    return {
        "calls": calls,
        "edges_added": [[*edge, kind] for edge, kind in sorted(new.items()) if edge not in old],
        "edges_removed": [[*edge, kind] for edge, kind in sorted(old.items()) if edge not in new],
    }
