"""The graph of an environment's tools: what each needs before it, learnt by executing calls.

An edge leads from a tool to one that needs it. There are three kinds: `declared` (the tool's document says
so), `state` (a call that failed succeeded after the other tool had been called), `value` (an argument that
nobody can know is found in the other tool's answer). Source: arXiv:2510.24645, section 4, where legality is
that every prerequisite is among the tools called.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...calls import Call
from ...environments import Result
from .evidence import (
    declared_fields,
    is_number,
    is_telling,
    named_in_error,
    numbers_in,
    seen_fields,
    without_values,
)
from .records import MOST_MESSAGES, ToolRecord
from .trace import Executed, free, is_same, leaves, pattern
from .words import is_vague, listed_in, names_it, options_in, thing_of

_LEAST_FLOWS = 2
_LIKE = 0.5  # least likeness of names for a description of another tool not to be asked
_BY_CHANCE = 0.05  # of a tool's calls that succeed although what it needs was not seen to be called
_TRIES = 4  # before a share of failures says something
_OPAQUE = 0.2  # most successes among invented values of a parameter that nobody can guess

Clause = frozenset[str]


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
            record.examples = tuple(one.get("examples", ()))
            record.fields.update(declared_fields(one.get("returns", {})))
        self.flows: Counter[tuple[str, str, str, str]] = Counter()
        self.keys: set[tuple[str, str]] = set()
        self.avoided: set[str] = set()
        self._options: dict[str, tuple[str, ...]] = {}
        self.needed: dict[str, list[str]] = {}  # of a `Drawer`, as `priors`
        self.opaques: dict[tuple[str, str], bool] = {}  # of a `Drawer`, as `priors`
        self._valued: dict[str, frozenset[str]] = {}
        self._consumers: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._likes: dict[tuple[str, str, str], float] = {}
        self._said_of: dict[str, tuple[str, ...]] = {}
        # Of a `Drawer`, once nothing is learnt any more: (tool, parameter, kind of source) -> label -> prior.
        self.priors: dict[tuple[str, str, str], dict[str, float]] = {}

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
        known = self._known(record, executed.call.name)
        if not any(one.call.name in known.enabled and one.result.ok for one in done):
            record.unaided[not ok] += 1
        if not ok:
            message = without_values(executed.result.text, executed.call.arguments)
            if message not in known.errors and len(record.said) < MOST_MESSAGES:
                record.said.append(executed.result.text[:160])
            if message in record.errors or len(record.errors) < MOST_MESSAGES:
                record.errors[message] += 1
            self._observe_asked(record, executed, done)
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

    def _known(self, record: ToolRecord, tool: str) -> ToolRecord:
        """What is known of a tool already, by which a new call of it is read."""
        return record

    def _observe_asked(self, record: ToolRecord, executed: Executed, before: list[Executed]) -> None:
        """An error that quotes a number of an earlier answer says what it wanted: `95.14 is due`."""
        quoted = numbers_in(executed.result.text)
        for _, value in leaves(executed.call.arguments):
            quoted.discard(str(value))
        if not quoted:
            return
        wanting = [
            parameter
            for parameter, source in executed.sources.items()
            if source.kind in ("made", "example") and is_number(self.schema(executed.call.name, parameter))
        ]
        for earlier in before if wanting else ():
            for path, value in earlier.answered:
                if isinstance(value, (int, float)) and str(value) in quoted and is_telling(value):
                    label = f"result:{earlier.call.name}/{pattern(path)}"
                    for parameter in wanting:
                        record.asked.setdefault(parameter, Counter())[label] += 1

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
                for field_path, found in earlier.answered:
                    if not is_same(found, value):
                        continue
                    name = pattern(field_path)
                    taken = source is not None and source.kind == "result" and source.step == number
                    if taken or names_it(parameter, f"{earlier.call.name}/{name}") >= 0.5:
                        self.flows[(earlier.call.name, name, executed.call.name, parameter)] += 1
                        break

    def learn_enabling(self, enabler: Executed, call: Call, before: Result, after: Result) -> None:
        """A failed call was repeated, unchanged, right after `enabler` had changed the state.

        Args:
            enabler: A call.
            call: What was repeated.
            before: Its failure.
            after: Its answer now: success, or perhaps another failure, so that the first obstacle is gone.
        """
        name = enabler.call.name
        if name == call.name:
            return
        record = self.tools[call.name]
        obstacle = without_values(before.text, call.arguments)
        left = "" if after.ok else without_values(after.text, call.arguments)
        if after.ok:
            record.enabled[name] += 1
        elif left == obstacle or any(one in after.text for one in record.requires):
            return
        record.learn_help(obstacle, name, left, json.dumps(free(enabler), sort_keys=True))

    def remedies(self, tool: str, call: Call, error: str) -> dict[str, Counter[str]]:
        """What brings a call nearest to success after this error; nothing if no way is known.

        One obstacle may give way to another (a booked visit is confirmed, then the patient arrives), and a
        tool that leads from one error into another for ever (a cancelled visit) is no remedy.

        Returns:
            Tool -> the arguments by which it helped (`trace.free`, as JSON) -> how often.
        """
        record = self.tools[tool]
        steps, frontier = {"": 0}, [""]
        while frontier:
            reached = [
                obstacle
                for obstacle, tools in record.remedies.items()
                if obstacle not in steps
                and any(left in frontier for lefts in tools.values() for left in lefts)
            ]
            steps |= dict.fromkeys(reached, steps[frontier[0]] + 1)
            frontier = reached
        obstacle = without_values(error, call.arguments)
        if obstacle not in steps:
            return {}
        wanted = steps[obstacle] - 1
        counts = {
            name: sum(count for left, count in lefts.items() if steps.get(left) == wanted)
            for name, lefts in record.remedies[obstacle].items()
        }
        most = max(counts.values())
        found: dict[str, Counter[str]] = {}
        for name in sorted((n for n, count in counts.items() if 2 * count >= most), key=lambda n: -counts[n]):
            found[name] = Counter()
            for left, ways in record.helped[obstacle][name].items():
                if steps.get(left) == wanted:
                    found[name].update(ways)
        return found

    def partial(self, tool: str, call: Call, error: str) -> dict[str, Counter[str]]:
        """What turned this error into a rarer one, as `remedies`: it was nearer to success, as it seems."""
        record, obstacle = self.tools[tool], without_values(error, call.arguments)
        found: dict[str, Counter[str]] = {}
        for name, lefts in sorted(record.helped.get(obstacle, {}).items()):
            for left, ways in lefts.items():
                if 2 * record.errors[left] < record.errors[obstacle]:
                    found.setdefault(name, Counter()).update(ways)
        return found

    def merge(self, other: Graph) -> None:
        """Adds what another graph of the same environment has seen; the order of merging does not matter."""
        for name, theirs in other.tools.items():
            self.tools[name].merge(theirs)
        self.flows += other.flows
        self.keys |= other.keys
        self.avoided |= other.avoided

    # -- what follows from it ------------------------------------------------------------------------------

    def opaque(self, tool: str, parameter: str) -> bool:
        """Whether a value of this parameter can be had only from an answer or by knowing a record's id."""
        sources = self.tools[tool].sources.get(parameter, {})
        invented = [counts for label, counts in sources.items() if label.startswith(("made", "example"))]
        tries, made = sum(map(sum, invented)), sum(ok for ok, _ in invented)
        if made >= _LEAST_FLOWS and made >= _OPAQUE * self.tools[tool].ok:
            return False
        if (tries >= _TRIES and made / tries > _OPAQUE) or 1 < made == tries:
            return False
        told = sum(
            counts[0] for label, counts in sources.items() if label.startswith(("state", "enum", "default"))
        )
        return told == 0 or (tool, parameter) in self.keys

    def required(self, tool: str) -> list[str]:
        """The parameters that have to be given: declared so, or without which hardly any call succeeded."""
        record = self.tools[tool]
        schema = record.document["parameters"]
        found = list(schema.get("required", ()))
        if record.ok < _TRIES or record.failed < record.ok:
            return found
        for name in schema.get("properties", {}):
            seen = record.sources.get(name, {})
            given = sum(counts[0] for label, counts in seen.items() if not label.startswith("trait:"))
            if name not in found and given >= (1 - _BY_CHANCE) * record.ok:
                found.append(name)
        return found

    def producers(self, tool: str, parameter: str) -> Clause:
        """The tools whose answers were seen to hold values for a parameter."""
        return frozenset(
            producer
            for (producer, _, consumer, name), count in self.flows.items()
            if (consumer, name) == (tool, parameter) and count >= _LEAST_FLOWS and producer != tool
        )

    def consumer(self, tool: str, producer: str) -> tuple[str, str] | None:
        """The tool and its required parameter, if the producer's answers give values for it."""
        key = (tool, producer)
        if key not in self._consumers:
            found = (name for name in self.required(tool) if producer in self.producers(tool, name))
            first = next(found, None)
            self._consumers[key] = None if first is None else (tool, first)
        return self._consumers[key]

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
        found = {}
        for name in self.required(tool):
            if (known := self.producers(tool, name)) and self.opaque(tool, name):
                found[name] = known
        return found

    def valued(self, tool: str) -> frozenset[str]:
        """The parameters of `value_clauses`; for a graph that learns nothing any more."""
        if tool not in self._valued:
            self._valued[tool] = frozenset(self.value_clauses(tool))
        return self._valued[tool]

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
        said = self.schema(tool, parameter).get("description", "")
        return f"{said} {self.tools[tool].said_of(parameter)}"

    def schema(self, tool: str, parameter: str) -> Mapping[str, Any]:
        """The schema of a parameter by its dotted path; empty if there is none."""
        schema: Any = self.tools[tool].document["parameters"]
        for part in parameter.split("."):
            schema = schema.get("properties", {}).get(part, {}) if isinstance(schema, Mapping) else {}
        return schema if isinstance(schema, Mapping) else {}

    def likeness(self, tool: str, parameter: str, label: str) -> float:
        """How far names tell that a label's values are for a parameter, from 0 to 1.

        Where the parameter's own description says nothing, that of its namesake in another tool counts.
        """
        key = (tool, parameter, label)
        if key not in self._likes:
            name = thing_of(parameter.rpartition(".")[2])
            like = names_it(name, label, self.schema(tool, parameter).get("description") or "")
            if like < _LIKE:
                like = max((0.8 * names_it(name, label, one) for one in self._meanings(name)), default=like)
            self._likes[key] = like
        return self._likes[key]

    def _meanings(self, name: str) -> tuple[str, ...]:
        """What all tools say of a parameter of this name, unless the name says nothing by itself."""
        if name not in self._said_of:
            schemas = (one.document["parameters"].get("properties", {}) for one in self.tools.values())
            found = (str(one[name].get("description", "")) for one in schemas if name in one)
            self._said_of[name] = () if is_vague(name) else tuple(dict.fromkeys(found))
        return self._said_of[name]

    def options(self, tool: str, name: str, described: str) -> tuple[str, ...]:
        """The values that a parameter's description lists, or another tool's for a parameter of its name."""
        if listed := options_in(described):
            return listed
        if name not in self._options:
            schemas = (one.document["parameters"].get("properties", {}) for one in self.tools.values())
            found = (listed_in(one[name]) for one in schemas if name in one)
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
        tools = {name: one.to_json() for name, one in self.tools.items()}
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
            graph.tools[name].read(one)
        graph.flows = Counter({tuple(flow[:4]): flow[4] for flow in value["flows"]})
        graph.keys = {(one[0], one[1]) for one in value["keys"]}
        graph.avoided = set(value["avoided"])
        return graph
