"""The graph of an environment's tools: what each needs before it, learnt by executing calls.

An edge leads from a tool to one that needs it. There are three kinds: `declared` (the tool's document says
so), `state` (a call that failed succeeded after the other tool had been called), `value` (an argument that
nobody can know is found in the other tool's answer). Source: arXiv:2510.24645, section 4, where legality is
that every prerequisite is among the tools called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...calls import Call
from ...environments import Result
from .evidence import declared_fields, is_telling, named_in_error, seen_fields, without_values
from .trace import Executed, leaves, pattern
from .words import names_it, options_in

_LEAST_FLOWS = 2
_BY_CHANCE = 0.05  # of a tool's calls that succeed although what it needs was not seen to be called
_TRIES = 4  # before a share of failures says something
_OPAQUE = 0.2  # most successes among invented values of a parameter that nobody can guess
_MOST_MESSAGES = 20  # different errors of a tool that are kept

Clause = frozenset[str]


@dataclass
class ToolRecord:
    """What is known of one tool.

    Attributes:
        document: As a model is shown it.
        requires: Its declared pre-conditions.
        ok, failed: How its calls ended.
        changes: Successful calls that changed the state.
        errors: Message (without values) -> how often.
        sources: Parameter -> source -> [successful calls, failed calls] with a value from there.
        enabled: Tool -> how often a failed call of this one succeeded after that one.
        unaided: [successful, failed] calls while none of `enabled` had been called.
        fields: Names of what its answers hold, declared or seen.
        said: One whole message of each kind of error, which may show how a value is written.
        remedies: Message of an error -> tool -> what the same call answered after that tool: the message of
            another error, or nothing where it succeeded -> how often.
    """

    document: Mapping[str, Any]
    requires: tuple[str, ...] = ()
    ok: int = 0
    failed: int = 0
    changes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    sources: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    enabled: Counter[str] = field(default_factory=Counter)
    unaided: list[int] = field(default_factory=lambda: [0, 0])
    fields: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    remedies: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)


class Graph:
    """Everything learnt of one environment.

    Args:
        environment: Its name.
        documents: Its tools' documents, `requires` included.

    Attributes:
        tools: Name -> what is known of it.
        flows: (producer, field, consumer, parameter) -> successful calls that such a value went into.
        keys: Parameters, as (tool, parameter), whose values name records.
        avoided: Tools that hang, which are called no more.
    """

    def __init__(self, environment: str, documents: Iterable[Mapping[str, Any]]) -> None:
        self.environment = environment
        self.tools: dict[str, ToolRecord] = {}
        for one in documents:
            shown = {key: one[key] for key in ("name", "description", "parameters")}
            record = self.tools[one["name"]] = ToolRecord(shown, tuple(one.get("requires", ())))
            record.fields.update(declared_fields(one.get("returns", {})))
        self.flows: Counter[tuple[str, str, str, str]] = Counter()
        self.keys: set[tuple[str, str]] = set()
        self.avoided: set[str] = set()
        self._options: dict[str, tuple[str, ...]] = {}
        self.priors: dict[
            tuple[str, str, str, str], float
        ] = {}  # of a `Drawer`, once nothing is learnt any more

    def observe(self, executed: Executed, before: Iterable[Executed] = ()) -> None:
        """Takes in one call.

        Args:
            executed: The call.
            before: The calls of the conversation before it.
        """
        record, ok = self.tools.get(executed.call.name), executed.result.ok
        if record is None:
            return
        record.ok += ok
        record.failed += not ok
        record.changes += executed.changed
        done = list(before)
        if not any(one.call.name in record.enabled and one.result.ok for one in done):
            record.unaided[not ok] += 1
        if not ok:
            message = without_values(executed.result.text, executed.call.arguments)
            if message not in record.errors and len(record.said) < _MOST_MESSAGES:
                record.said.append(executed.result.text[:160])
            if message in record.errors or len(record.errors) < _MOST_MESSAGES:
                record.errors[message] += 1
        blamed = set() if ok else named_in_error(executed)
        for parameter, source in executed.sources.items():
            if blamed and parameter not in blamed:
                continue
            counts = record.sources.setdefault(parameter, {}).setdefault(str(source), [0, 0])
            counts[not ok] += 1
            if ok or not blamed or len(blamed) == 1:
                for trait in source.traits:
                    record.sources[parameter].setdefault(f"trait:{trait}", [0, 0])[not ok] += 1
            if ok and source.key:
                self.keys.add((executed.call.name, parameter))
        if ok:
            record.fields.update(seen_fields(executed.result.value))
            self._observe_flows(executed, done)

    def _observe_flows(self, executed: Executed, before: list[Executed]) -> None:
        """Counts every argument that an earlier answer holds under a like name, or that was taken from it."""
        for path, value in leaves(executed.call.arguments):
            if not is_telling(value):
                continue
            parameter = ".".join(str(part) for part in path if not isinstance(part, int))
            source = executed.sources.get(parameter)
            for number, earlier in enumerate(before):
                if not earlier.result.ok or earlier.call.name == executed.call.name:
                    continue
                for field_path, found in leaves(earlier.result.value):
                    if type(found) is not type(value) or found != value:
                        continue
                    name = pattern(field_path)
                    taken = source is not None and source.kind == "result" and source.step == number
                    if taken or names_it(parameter, f"{earlier.call.name}/{name}") >= 0.5:
                        self.flows[(earlier.call.name, name, executed.call.name, parameter)] += 1
                        break

    def learn_enabling(self, enabler: str, call: Call, before: Result, after: Result) -> None:
        """A failed call was repeated, unchanged, right after `enabler` had changed the state.

        Args:
            enabler: A tool.
            call: What was repeated.
            before: Its failure.
            after: Its answer now: success, or perhaps another failure, so that the first obstacle is gone.
        """
        if enabler == call.name:
            return
        record = self.tools[call.name]
        obstacle = without_values(before.text, call.arguments)
        left = "" if after.ok else without_values(after.text, call.arguments)
        if after.ok:
            record.enabled[enabler] += 1
        elif left == obstacle or any(name in after.text for name in record.requires):
            return
        record.remedies.setdefault(obstacle, {}).setdefault(enabler, Counter())[left] += 1

    def remedies(self, tool: str, call: Call, error: str) -> list[str]:
        """The tools that bring a call nearest to success after this error; none if no way is known.

        One obstacle may give way to another (a booked visit is confirmed, then the patient arrives), and a
        tool that leads from one error into another for ever (a cancelled visit) is no remedy.
        """
        known = self.tools[tool].remedies
        steps, frontier = {"": 0}, [""]
        while frontier:
            reached = [
                obstacle
                for obstacle, tools in known.items()
                if obstacle not in steps
                and any(left in frontier for lefts in tools.values() for left in lefts)
            ]
            steps |= dict.fromkeys(reached, steps[frontier[0]] + 1)
            frontier = reached
        obstacle = without_values(error, call.arguments)
        if obstacle not in steps:
            return []
        wanted = steps[obstacle] - 1
        counts = {
            name: sum(count for left, count in lefts.items() if steps.get(left) == wanted)
            for name, lefts in known[obstacle].items()
        }
        most = max(counts.values())
        return sorted((n for n, count in counts.items() if 2 * count >= most), key=lambda n: (-counts[n], n))

    def merge(self, other: Graph) -> None:
        """Adds what another graph of the same environment has seen; the order of merging does not matter."""
        for name, theirs in other.tools.items():
            mine = self.tools[name]
            mine.ok += theirs.ok
            mine.failed += theirs.failed
            mine.changes += theirs.changes
            mine.errors += theirs.errors
            mine.enabled += theirs.enabled
            mine.fields |= theirs.fields
            mine.said = list(dict.fromkeys([*mine.said, *theirs.said]))[:_MOST_MESSAGES]
            for message, tools in theirs.remedies.items():
                for tool, lefts in tools.items():
                    mine.remedies.setdefault(message, {}).setdefault(tool, Counter()).update(lefts)
            mine.unaided = [one + two for one, two in zip(mine.unaided, theirs.unaided, strict=True)]
            for parameter, sources in theirs.sources.items():
                known = mine.sources.setdefault(parameter, {})
                for label, counts in sources.items():
                    held = known.setdefault(label, [0, 0])
                    held[:] = [held[0] + counts[0], held[1] + counts[1]]
        self.flows += other.flows
        self.keys |= other.keys
        self.avoided |= other.avoided

    # -- what follows from it ------------------------------------------------------------------------------

    def opaque(self, tool: str, parameter: str) -> bool:
        """Whether a value of this parameter can be had only from an answer or by knowing a record's id."""
        sources = self.tools[tool].sources.get(parameter, {})
        invented = [counts for label, counts in sources.items() if label.startswith(("made", "example"))]
        tries = sum(map(sum, invented))
        if tries >= _TRIES and sum(ok for ok, _ in invented) / tries > _OPAQUE:
            return False
        told = sum(
            counts[0] for label, counts in sources.items() if label.startswith(("state", "enum", "default"))
        )
        return told == 0 or (tool, parameter) in self.keys

    def producers(self, tool: str, parameter: str) -> Clause:
        """The tools whose answers were seen to hold values for a parameter."""
        return frozenset(
            producer
            for (producer, _, consumer, name), count in self.flows.items()
            if (consumer, name) == (tool, parameter) and count >= _LEAST_FLOWS and producer != tool
        )

    def state_clause(self, tool: str) -> Clause:
        """The tools of which one has to be called before, learnt from errors; empty if there are none."""
        record = self.tools[tool]
        ok, failed = record.unaided
        known = set(record.requires)
        if not record.enabled or known & set(record.enabled) or ok > _BY_CHANCE * (ok + failed):
            return frozenset()
        return frozenset(record.enabled)

    def value_clauses(self, tool: str) -> dict[str, Clause]:
        """Required parameter -> the tools that can give its value, where nobody can know it."""
        required = self.tools[tool].document["parameters"].get("required", ())
        found = {}
        for name in required:
            if (known := self.producers(tool, name)) and self.opaque(tool, name):
                found[name] = known
        return found

    def hinted_clauses(self, tool: str) -> dict[str, Clause]:
        """Required parameter -> the tools that may give its value as names tell; for learning alone."""
        document = self.tools[tool].document["parameters"]
        found = {}
        for name in document.get("required", ()):
            schema = document.get("properties", {}).get(name, {})
            if schema.get("type") not in ("string", "integer") or "enum" in schema:
                continue
            said = schema.get("description", "")
            known = frozenset(
                other
                for other, record in self.tools.items()
                if other != tool
                and any(names_it(name, f"{other}/{field}", said) >= 0.99 for field in record.fields)
            )
            if known and self.opaque(tool, name):
                found[name] = known
        return found

    def told(self, tool: str, parameter: str) -> str:
        """What a document and errors say of a parameter."""
        record = self.tools[tool]
        schema: Any = record.document["parameters"]
        for part in parameter.split("."):
            schema = schema.get("properties", {}).get(part, {}) if isinstance(schema, Mapping) else {}
        said = schema.get("description", "") if isinstance(schema, Mapping) else ""
        return f"{said} {' '.join(record.said)}"

    def options(self, tool: str, name: str, described: str) -> tuple[str, ...]:
        """The values that a parameter's description lists, or another tool's for a parameter of its name."""
        if listed := options_in(described):
            return listed
        if name not in self._options:
            schemas = (one.document["parameters"].get("properties", {}) for one in self.tools.values())
            found = (options_in(str(one[name].get("description", ""))) for one in schemas if name in one)
            self._options[name] = next(filter(None, found), ())
        return self._options[name]

    def edges(self) -> dict[tuple[str, str], str]:
        """(tool, tool that needs it) -> the kind of edge."""
        found: dict[tuple[str, str], str] = {}
        for name in self.tools:
            for clause in self.value_clauses(name).values():
                found |= {(one, name): "value" for one in sorted(clause)}
            found |= {(one, name): "state" for one in sorted(self.state_clause(name))}
            found |= {(one, name): "declared" for one in self.tools[name].requires if one in self.tools}
        return found

    # -- as JSON -------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON values; `from_json` is the inverse."""
        tools = {}
        for name, one in self.tools.items():
            tools[name] = {
                "description": one.document["description"],
                "parameters": one.document["parameters"],
                "requires": list(one.requires),
                "ok": one.ok,
                "failed": one.failed,
                "changes": one.changes,
                "errors": dict(sorted(one.errors.items())),
                "sources": {p: dict(sorted(s.items())) for p, s in sorted(one.sources.items())},
                "enabled": dict(sorted(one.enabled.items())),
                "unaided": one.unaided,
                "fields": sorted(one.fields),
                "said": one.said,
                "remedies": {
                    message: {tool: dict(sorted(lefts.items())) for tool, lefts in sorted(tools.items())}
                    for message, tools in sorted(one.remedies.items())
                },
            }
        return {
            "environment": self.environment,
            "tools": tools,
            "edges": [
                {"from": one, "to": two, "kind": kind} for (one, two), kind in sorted(self.edges().items())
            ],
            "flows": [[*flow, count] for flow, count in sorted(self.flows.items())],
            "keys": sorted(map(list, self.keys)),
            "avoided": sorted(self.avoided),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Graph:
        """The inverse of `to_json`."""
        graph = cls(value["environment"], ({"name": n, **one} for n, one in value["tools"].items()))
        for name, one in value["tools"].items():
            record = graph.tools[name]
            record.ok, record.failed, record.changes = one["ok"], one["failed"], one["changes"]
            record.errors, record.enabled = Counter(one["errors"]), Counter(one["enabled"])
            record.unaided, record.fields = list(one["unaided"]), set(one["fields"])
            record.said = list(one["said"])
            record.remedies = {
                message: {tool: Counter(lefts) for tool, lefts in tools.items()}
                for message, tools in one["remedies"].items()
            }
            record.sources = {p: {k: list(v) for k, v in s.items()} for p, s in one["sources"].items()}
        graph.flows = Counter({tuple(flow[:4]): flow[4] for flow in value["flows"]})
        graph.keys = {(one[0], one[1]) for one in value["keys"]}
        graph.avoided = set(value["avoided"])
        return graph
