"""Arguments for a call: from earlier answers, the state, enums, examples, or made from the schema."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from ....environments.mcp.policy import edits_by_name, reads_by_name
from ..graph import Graph
from ..state import State
from ..trace import Executed, Path, Source, leaves, pattern, traits
from ..words import count_for, number_for, options_in, text_for
from .answers import Answers
from .attempts import Attempts, spoken_of
from .formats import counts, examples_in, in_format, named_format
from .likely import Likely

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_OPTIONAL_SHARE, _OPTIONAL = 0.25, 2.0  # of optional parameters that are given; and how many, about, at most
_EXAMPLE_SHARE = 0.75  # of the calls of a tool for which the user gave examples
_AGAIN = 0.6  # of the draws that take the value that was spoken of last
_ANY_SHARE = 0.08  # of the draws while learning that look at every value of the type
_FITTING = 0.8  # of the draws that do as a call did that helped before
_ASKED = 8.0  # how much likelier a value is that an error asked for
_LESS = 0.5  # of the numbers drawn after one that failed that are at most half of it
_EDGE = 0.25  # of the numbers made while learning that are the least or the greatest
_FEW = 4  # sets of arguments of which the one is taken whose record suits best

Fitting = Mapping[str, Sequence[Any]]
Wanted = tuple[str, str]  # a tool and its parameter


class Drawer(Likely):
    """Draws the arguments of calls in one conversation.

    Args:
        graph: What is known of the tools; not changed.
        config: The configuration that the conversation starts from.
        learning: Try unlikely sources as well.
        by_value: Take what only answers hold from answers, rather than from the state.
    """

    def __init__(
        self, graph: Graph, config: Mapping[str, Any], *, learning: bool = False, by_value: bool = True
    ) -> None:
        super().__init__(graph, State(config), learning)
        self._by_value = by_value
        self._answers = Answers(self._served)
        self._recent: dict[str, tuple[Any, Source]] = {}
        self._spoken: dict[str, list[Any]] = {}
        self.attempts = Attempts()

    def remember(self, number: int, executed: Executed) -> None:
        """Takes in the answer of the conversation's call of that number."""
        if not executed.result.ok:
            return
        bears: tuple[str, ...] = ()
        name, given = executed.call.name, executed.call.arguments
        if executed.changed:  # what it made bears the names that it was given
            bears = traits(given, self._optional(name))
        # What a server keeps is often shown by none of its answers.
        if executed.changed or (self._served and not reads_by_name(name)):
            for parameter, value in spoken_of(executed) if self._served else given.items():
                if isinstance(value, str) and len(value) > 1:
                    self._spoken.setdefault(f"{name}/{parameter}", []).append(value)
        # Servers repeat what they were asked for; whoever takes it from there has asked for nothing.
        repeated = [one for _, one in leaves(given)] if self._served else ()
        self._answers.add(number, name, executed.result.value, bears, repeated)

    def _optional(self, tool: str) -> list[str]:
        schema = self._graph.tools[tool].document["parameters"]
        return [name for name in schema.get("properties", {}) if name not in schema.get("required", ())]

    def arguments(
        self, tool: str, rng: Random, fitting: Fitting | None = None, wanted: Wanted | None = None
    ) -> tuple[dict[str, Any], dict[str, Source]]:
        """Arguments for a call, and where each scalar of them came from (dotted path -> source).

        Args:
            tool: To call.
            rng: Of every choice.
            fitting: How a call of it has helped before, as `trace.free` has it; mostly done again.
            wanted: What the call's answer is for: a tool and its parameter, of whose values it is known
                what the good ones are like.
        """
        found = self._arguments(tool, rng, fitting)
        if wanted and self._has_traits(*wanted):
            drawn = [found, *(self._arguments(tool, rng, fitting) for _ in range(_FEW - 1))]
            optional = self._optional(tool)
            weights = [self._suits(*wanted, traits(one[0], optional)) for one in drawn]
            found = rng.choices(drawn, weights)[0]
        arguments, sources = found
        for place, source in sources.items():
            if source.kind in ("result", "state") and "." not in place:
                value = arguments[place]
                if isinstance(value, (str, int)) and not isinstance(value, bool):
                    self._recent[place] = (value, source)
        return arguments, sources

    def _has_traits(self, tool: str, place: str) -> bool:
        return any(label.startswith("trait:") for label in self._graph.tools[tool].sources.get(place, ()))

    def _arguments(
        self, tool: str, rng: Random, fitting: Fitting | None
    ) -> tuple[dict[str, Any], dict[str, Source]]:
        self._sources: dict[str, Source] = {}
        self._anchors: dict[str, str] = {}
        self._taken: set[tuple[int, Path]] = set()
        self._rng, self._tool = rng, tool
        self._fitting: Fitting = fitting if fitting and rng.random() < _FITTING else {}
        return self._example() or self._object(self._alternative(), ""), self._sources

    def _example(self) -> dict[str, Any]:
        """One of the calls that the user gave as examples; empty if there are none, or by chance."""
        examples = self._graph.tools[self._tool].examples
        if not examples or self._rng.random() > _EXAMPLE_SHARE:
            return {}
        chosen = self._rng.choice(examples)
        for path, _ in leaves(chosen):
            place = ".".join(str(part) for part in path if not isinstance(part, int))
            self._sources[place] = Source("example")
        return copy.deepcopy(dict(chosen))

    def _alternative(self) -> Mapping[str, Any]:
        """The tool's parameters; of a choice between sets of them, one."""
        schema: Mapping[str, Any] = self._graph.tools[self._tool].document["parameters"]
        branches = [one for key in ("anyOf", "oneOf") for one in schema.get(key) or ()]
        if not branches:
            return schema
        chosen = self._rng.choice(branches)
        required = [*schema.get("required", ()), *chosen.get("required", ())]
        properties = {**schema.get("properties", {}), **chosen.get("properties", {})}
        return {"properties": properties, "required": required}

    # -- one value -----------------------------------------------------------------------------------------

    def _object(self, schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        required = {*schema.get("required", ()), *(() if prefix else self._required())}
        found, share = {}, 0.5 if self._learning else _OPTIONAL_SHARE
        if self.foreign and (optional := len(schema.get("properties", {})) - len(required)) > 0:
            share = min(share, _OPTIONAL / optional)  # of twenty that hold anything one is always wrong
        for name, part in schema.get("properties", {}).items():
            place = f"{prefix}{name}"
            if name in required or place in self._fitting or self._rng.random() < share:
                found[name] = self._value(part, place)
                if found[name] == {} and name not in required:  # of which nothing could be told
                    del found[name]
        if not prefix and self.foreign and found.keys() <= required and edits_by_name(self._tool):
            return {**found, **self._something(schema, prefix, required)}  # an edit is of something
        return found or (self._something(schema, prefix) if prefix else {})

    def _something(self, schema: Mapping[str, Any], prefix: str, but: Collection[str] = ()) -> dict[str, Any]:
        """An entry of an object that need not have any, since nobody asks for one with nothing in it."""
        if names := [name for name in schema.get("properties", {}) if name not in but]:
            name = self._rng.choice(names)
            return {name: self._value(schema["properties"][name], f"{prefix}{name}")}
        held, key = schema.get("additionalProperties"), text_for("", self._rng).rpartition(" ")[2]
        if not isinstance(held, Mapping) or str(held.get("type")) not in _TYPES:
            return {}
        return {key: self._value(held, f"{prefix}{key}")}

    def _required(self) -> list[str]:
        """The parameters of the tool that have to be given; while learning, those that are declared."""
        if self._learning:
            return list(self._graph.tools[self._tool].document["parameters"].get("required", ()))
        if self._tool not in self._graph.needed:
            self._graph.needed[self._tool] = self._graph.required(self._tool)
        return self._graph.needed[self._tool]

    def _value(self, schema: Mapping[str, Any], place: str) -> Any:
        schema = self._branch(schema)
        kind = schema.get("type")
        if self._fitting.get(place, ("",))[0] == "is":
            self._sources[place] = Source("enum")
            value = self._fitting[place][1]
            listed = options_in(str(schema.get("description", ""))) or options_in(
                str(schema.get("items", {}).get("description", "")) if kind == "array" else ""
            )
            return self._asked_of(listed) or value if isinstance(value, list) else value
        if "enum" in schema:
            self._sources[place] = Source("enum")
            return self._rng.choice([one for one in schema["enum"] if one is not None] or [None])
        if kind == "object" or "properties" in schema:
            return self._object(schema, f"{place}.")
        if kind == "array":
            return self._list(schema, place)
        if kind == "boolean":
            self._sources[place] = Source("enum")
            return self._rng.random() < 0.5
        return self._scalar(schema, place)

    def _branch(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """One of the alternatives of a union that is not null."""
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list):
                branches = [one for one in schema[key] if one.get("type") != "null"]
                if branches:
                    rest = {name: value for name, value in schema.items() if name != key}
                    return {**rest, **self._rng.choice(branches)}
        if isinstance(schema.get("type"), list):
            kinds = [one for one in schema["type"] if one != "null"]
            return {**schema, "type": self._rng.choice(kinds or ["string"])}
        return schema

    def _list(self, schema: Mapping[str, Any], place: str) -> list[Any]:
        least = max(1, int(schema.get("minItems", 1)))
        most = min(int(schema.get("maxItems", least + 2)), least + 2)
        if wanted := count_for(self._graph.told(self._tool, place)):
            least = most = wanted
        items = schema.get("items", {"type": "string"})
        if self.foreign and items.get("properties"):  # in words, values of several records would be mixed up
            most = least
        if "description" not in items and "description" in schema:
            items = {**items, "description": schema["description"]}
        listed = options_in(str(items.get("description", "")))
        if listed and items.get("type") == "string":
            self._sources[place] = Source("enum")
            if asked := self._asked_of(listed):
                return asked
            count = len(listed) if self._rng.random() < 0.4 else self._rng.randint(1, len(listed))
            return self._rng.sample(listed, count)
        found: list[Any] = []
        for _ in range(self._rng.randint(least, max(least, most))):
            one = self._value(items, place)
            if wanted or one not in found:  # two of one kind need two values
                found.append(one)
        while len(found) < least:
            found.append(self._value(items, place))
        return found

    def _asked_of(self, listed: Sequence[str]) -> list[str]:
        """Those of some options that an error asked for."""
        return [one for one in listed if self.attempts.asking and self.attempts.asks_for(one)]

    def _scalar(self, schema: Mapping[str, Any], place: str) -> Any:
        name = place.rpartition(".")[2]
        self._described = schema.get("description") or ""
        types = _TYPES.get(str(schema.get("type")), (str, int, float))
        if str in types and (listed := self._graph.options(self._tool, name, self._described)):
            self._sources[place] = Source("enum")
            return self._rng.choice(listed)
        way = self._fitting.get(place)
        if way is None and (again := self._again(name, place)):
            return again[0]
        options: list[tuple[float, str, Any]] = []
        anything = self._learning and self._rng.random() < _ANY_SHARE
        asked = f"{self._tool} {name}"
        newest = max(self._answers.latest.values(), default=-1)
        priors, scale = self._priors(place, "result"), 10.0 if self._by_value else 0.5
        for label, latest in self._answers.latest.items():
            if (prior := priors.get(label)) is None:
                prior = priors[label] = self._prior_of(label, place, "result")
            named = self._named(place, label)
            if (prior or anything) and self._answers.has(label, types, schema, named):
                prior = (prior * scale or 0.2) * (1.5 if latest == newest else 1.0)
                weight = self._weight(place, f"result:{label}", prior)
                if self.attempts.asking:
                    weight *= self._urged(one[2] for one in self._answers.values[label])
                options.append((weight, "result", label))
        priors = self._priors(place, "state")
        for label in self._state.values if anything else self._likely(place, priors):
            held, prior = self._state.values[label], priors.get(label)
            if prior is None:
                prior = priors[label] = self._prior_of(label, place, "state")
            if (prior or anything) and any(type(value) in types for _, value, _ in held):
                weight = self._weight(place, f"state:{label}", prior or 0.2)
                if self.attempts.asking:
                    weight *= self._urged(one[1] for one in held)
                options.append((weight, "state", label))
        priors = self._priors(place, "said")
        for label in self._spoken if str in types else ():
            if (prior := priors.get(label)) is None:
                own = label.startswith(f"{self._tool}/")
                prior = priors[label] = 0.0 if own else self._prior_of(label, place, "said")
            if prior:
                options.append((self._weight(place, f"said:{label}", prior * 5.0), "said", label))
        if way is not None and (same := [one for one in options if self._comes_from(one, way[1])]):
            options = same
        told = examples_in(self._described) if self._served else ()
        given = [*schema.get("examples", ()), *told]
        examples = [one for one in given if type(one) in types]
        if schema.get("default") != "" and type(schema.get("default", ())) in types:  # "" is nothing to tell
            examples.append(schema["default"])
        if way is None or not same:
            if examples:
                options.append((self._weight(place, "example", 1.0), "example", examples))
            invented = 1.0 if str in types and len(types) == 1 else 2.5
            options.append((self._weight(place, "made", 0.4 * invented), "made", asked))
        return self._take(options, schema, types, place)

    def _comes_from(self, option: tuple[float, str, Any], source: str) -> bool:
        return option[1] in ("result", "state") and f"{option[1]}:{option[2]}" == source

    def _urged(self, values: Iterable[Any]) -> float:
        """More for values of which an error asked for one."""
        return _ASKED if any(map(self.attempts.asks_for, values)) else 1.0

    def _again(self, name: str, place: str) -> tuple[Any, Source] | None:
        """A value that a call before had under this name: people stay with what they speak of."""
        held = self._recent.get(name)
        if held is None or self._rng.random() > _AGAIN or not self._opaque(place):
            return None
        if self.attempts.is_bad(self._tool, place, held[0]):
            return None
        self._sources[place] = held[1]
        self._anchor(held[0])
        return held

    def _anchor(self, value: Any) -> None:
        """Once a record is named, what else is drawn from the state is its."""
        for table in self._state.keys.get(value, ()):
            self._anchors[table] = str(value)

    def _take(
        self, options: list[tuple[float, str, Any]], schema: Mapping[str, Any], types: Any, place: str
    ) -> Any:
        weights = [weight for weight, _, _ in options]
        _, kind, what = self._rng.choices(options, weights)[0]
        if kind == "result":
            return self._from_answer(what, types, place, schema)
        if kind == "state":
            return self._from_state(what, types, place)
        if kind == "said":
            spoken = self._spoken[what]
            self._sources[place] = Source(kind, what)
            return self._rng.choices(spoken, [self._fresh(place, one) for one in spoken])[0]
        self._sources[place] = Source(kind)
        if kind == "example":
            return self._rng.choice(what)
        if self._served and schema.get("type") == "number" and counts(place.rpartition(".")[2]):
            schema = {**schema, "type": "integer"}
        if schema.get("type") in ("integer", "number"):
            told = self._graph.told(self._tool, place)
            failed = self.attempts.number(self._tool, place)
            if failed is not None and self._rng.random() < _LESS and failed / 2 >= schema.get("minimum", 1):
                schema = {"minimum": failed / 8, **schema, "maximum": failed / 2}
            return number_for(dict(schema), self._rng, told, _EDGE if self._learning else 0.0)
        text = text_for(place, self._rng, self._graph.told(self._tool, place))
        return in_format(named_format(schema, place) if self.foreign else schema, text, self._rng)

    def _from_answer(self, label: str, types: Any, place: str, schema: Mapping[str, Any]) -> Any:
        entries = self._answers.of(label, types, schema, self._named(place, label))
        latest = [one for one in entries if one[0] == entries[-1][0]]
        # What stands together belongs together: a second value comes from the first one's place, but two
        # values of one kind are two.
        other = [one for one in latest if (one[0], one[1]) not in self._taken] or latest
        places = {(number, path[:-1]) for number, path in self._taken}
        near = [one for one in other if (one[0], one[1][:-1]) in places]
        same = any(pattern(path) == pattern(latest[0][1]) for n, path in self._taken if n == latest[0][0])
        choices = other if same or not near else near
        fresh = [self._fresh(place, one[2]) for one in choices]
        if max(fresh) < 1 and len(choices) < len(entries):  # all of these have failed
            choices = entries
            fresh = [self._fresh(place, one[2]) for one in choices]
        weights = [
            self._suits(self._tool, place, self._answers.traits(one[0], one[1])) * new
            for one, new in zip(choices, fresh, strict=True)
        ]
        number, path, value = self._rng.choices(choices, weights)[0]
        self._taken.add((number, path))
        found = self._answers.traits(number, path)
        self._sources[place] = Source("result", label, number, path, traits=found)
        self._anchor(value)
        return value

    def _fresh(self, place: str, value: Any) -> float:
        """Little for a value that has just failed, more for one that an error asked for."""
        if self.attempts.is_bad(self._tool, place, value):
            return 1e-4
        return _ASKED if self.attempts.asking and self.attempts.asks_for(value) else 1.0

    def _suits(self, tool: str, place: str, found: tuple[str, ...]) -> float:
        """How well calls have ended with records that say the same of themselves."""
        sources = self._graph.tools[tool].sources.get(place, {})
        weight = 1.0
        for trait in found:
            ok, failed = sources.get(f"trait:{trait}", (0, 0))
            weight *= ((ok + 1.0) / (ok + failed + 1.5)) ** (1 if self._learning else 2)
        return weight + 1e-9

    def _from_state(self, label: str, types: Any, place: str) -> Any:
        entries = [one for one in self._state.values[label] if type(one[1]) in types]
        anchored = [one for one in entries if self._anchors.get(one[0][0]) == one[0][1]]
        choices = anchored or entries
        weights = [
            self._suits(self._tool, place, self._state.traits(spot)) * self._fresh(place, value)
            for spot, value, _ in choices
        ]
        spot, value, key = self._rng.choices(choices, weights)[0]
        self._anchors[spot[0]] = spot[1]
        self._anchor(value)
        self._sources[place] = Source("state", label, key=key, traits=self._state.traits(spot))
        return value
