"""Arguments for a call: from earlier answers, the state, enums, examples, or made from the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from .graph import Graph
from .trace import Executed, Path, Source, leaves, pattern, traits
from .words import count_for, names_it, number_for, options_in, text_for

_HIDDEN = frozenset(
    {"fresh", "met"}
)  # parts of a configuration that nobody knows: ids to come, what was called
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_OPTIONAL_SHARE = 0.25
_LIKE = 0.5  # least likeness of names for a value to be tried
_MOST = 400  # values of answers that are looked at, the latest first
_AGAIN = 0.6  # of the draws that take the value that was spoken of last
_ANY_SHARE = 0.08  # of the draws while learning that look at every value of the type


class State:
    """What a configuration holds, as values a user may know.

    Args:
        config: The configuration.

    Attributes:
        values: Label -> [(place, value, whether it names a record)]; a place is the record a value stands in,
            so that the values of one call can be taken from one record.
        keys: Name of a record -> the places of such records.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.values: dict[str, list[tuple[tuple[str, str], Any, bool]]] = {}
        self.keys: dict[Any, list[str]] = {}
        self._records: dict[tuple[str, str], Any] = {}
        for key, value in config.items():
            if key not in _HIDDEN:
                self._walk(value, str(key), ("", ""))

    def _walk(self, value: Any, label: str, place: tuple[str, str], depth: int = 0) -> None:
        if depth > 12:
            return
        if isinstance(value, Mapping):
            records = value and all(isinstance(one, (Mapping, list)) for one in value.values())
            for key, one in value.items():
                if records:
                    here = (f"{label}/*", str(key))
                    self._add(f"{label}/*", here, key, True)
                    self._records[here] = one
                    self._walk(one, f"{label}/*", here, depth + 1)
                else:
                    self._walk(one, f"{label}/{key}", place, depth + 1)
        elif isinstance(value, list):
            for number, one in enumerate(value):
                here = (f"{label}/*", str(number)) if isinstance(one, Mapping) else place
                self._records[here] = one
                self._walk(one, f"{label}/*" if isinstance(one, Mapping) else label, here, depth + 1)
        elif value is not None:
            self._add(label, place, value, False)

    def traits(self, place: tuple[str, str]) -> tuple[str, ...]:
        """What a record says of itself; see `trace.traits`."""
        return traits(self._records.get(place))

    def _add(self, label: str, place: tuple[str, str], value: Any, key: bool) -> None:
        self.values.setdefault(label, []).append((place, value, key))
        if key:
            self.keys.setdefault(value, []).append(place[0])


class Drawer:
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
        self._graph, self._learning, self._by_value = graph, learning, by_value
        self._state = State(config)
        self._answers: dict[str, list[tuple[int, Path, Any]]] = {}
        self._latest: dict[str, int] = {}
        self._values: dict[int, Any] = {}
        self._recent: dict[str, tuple[Any, Source]] = {}

    def remember(self, number: int, executed: Executed) -> None:
        """Takes in the answer of the conversation's call of that number."""
        if not executed.result.ok:
            return
        self._values[number] = executed.result.value
        for count, (path, value) in enumerate(leaves(executed.result.value)):
            if count >= _MOST:
                break
            if value is not None and not isinstance(value, bool) and value != "":
                label = f"{executed.call.name}/{pattern(path)}"
                self._answers.setdefault(label, []).append((number, path, value))
                self._latest[label] = number

    def arguments(self, tool: str, rng: Random) -> tuple[dict[str, Any], dict[str, Source]]:
        """Arguments for a call, and where each scalar of them came from (dotted path -> source)."""
        self._sources: dict[str, Source] = {}
        self._anchors: dict[str, str] = {}
        self._taken: set[tuple[int, Path]] = set()
        self._rng, self._tool = rng, tool
        schema = self._graph.tools[tool].document["parameters"]
        arguments = self._object(schema, "")
        for place, source in self._sources.items():
            if source.kind in ("result", "state") and "." not in place:
                value = arguments[place]
                if isinstance(value, (str, int)) and not isinstance(value, bool):
                    self._recent[place] = (value, source)
        return arguments, self._sources

    # -- one value -----------------------------------------------------------------------------------------

    def _object(self, schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        found = {}
        for name, part in schema.get("properties", {}).items():
            share = 0.5 if self._learning else _OPTIONAL_SHARE
            if name in required or self._rng.random() < share:
                found[name] = self._value(part, f"{prefix}{name}")
        return found

    def _value(self, schema: Mapping[str, Any], place: str) -> Any:
        schema = self._branch(schema)
        kind = schema.get("type")
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
        if "description" not in items and "description" in schema:
            items = {**items, "description": schema["description"]}
        listed = options_in(str(items.get("description", "")))
        if listed and items.get("type") == "string":
            self._sources[place] = Source("enum")
            count = len(listed) if self._rng.random() < 0.4 else self._rng.randint(1, len(listed))
            return self._rng.sample(listed, count)
        found: list[Any] = []
        for _ in range(self._rng.randint(least, max(least, most))):
            one = self._value(items, place)
            if wanted or one not in found:  # two of one kind need two values
                found.append(one)
        return found

    def _scalar(self, schema: Mapping[str, Any], place: str) -> Any:
        name = place.rpartition(".")[2]
        self._described = schema.get("description") or ""
        types = _TYPES.get(str(schema.get("type")), (str, int, float))
        if str in types and (listed := self._graph.options(self._tool, name, self._described)):
            self._sources[place] = Source("enum")
            return self._rng.choice(listed)
        if again := self._again(name, place):
            return again[0]
        options: list[tuple[float, str, Any]] = []
        anything = self._learning and self._rng.random() < _ANY_SHARE
        asked = f"{self._tool} {name}"
        for label, latest in self._latest.items():
            prior = self._prior(name, label, place, "result") * (10.0 if self._by_value else 0.5)
            if (prior or anything) and self._some(self._answers[label], types):
                prior = (prior or 0.2) * (1.5 if latest == max(self._latest.values()) else 1.0)
                options.append((self._weight(place, f"result:{label}", prior), "result", label))
        for label, values in self._state.values.items():
            prior = self._prior(name, label, place, "state")
            if (prior or anything) and any(type(value) in types for _, value, _ in values):
                options.append((self._weight(place, f"state:{label}", prior or 0.2), "state", label))
        examples = [one for one in schema.get("examples", ()) if type(one) in types]
        if "default" in schema and type(schema["default"]) in types:
            examples.append(schema["default"])
        if examples:
            options.append((self._weight(place, "example", 1.0), "example", examples))
        invented = 1.0 if str in types and len(types) == 1 else 2.5
        options.append((self._weight(place, "made", 0.4 * invented), "made", asked))
        return self._take(options, schema, types, place)

    def _again(self, name: str, place: str) -> tuple[Any, Source] | None:
        """A value that a call before had under this name: people stay with what they speak of."""
        held = self._recent.get(name)
        if held is None or self._rng.random() > _AGAIN or not self._graph.opaque(self._tool, place):
            return None
        self._sources[place] = held[1]
        self._anchor(held[0])
        return held

    def _anchor(self, value: Any) -> None:
        """Once a record is named, what else is drawn from the state is its."""
        for table in self._state.keys.get(value, ()):
            self._anchors[table] = str(value)

    def _prior(self, name: str, label: str, place: str, kind: str) -> float:
        """How likely a source is before anything was learnt of it; 0 for one that is not tried."""
        if self._learning:
            return self._prior_of(name, label, place, kind)
        key = (self._tool, place, kind, label)
        if key not in self._graph.priors:
            self._graph.priors[key] = self._prior_of(name, label, place, kind)
        return self._graph.priors[key]

    def _prior_of(self, name: str, label: str, place: str, kind: str) -> float:
        like = names_it(name, label, self._described)
        if like >= _LIKE:
            return like**2 * 2.0
        known = self._graph.tools[self._tool].sources.get(place, {}).get(f"{kind}:{label}")
        if known and known[0] >= 2 and 4 * known[0] >= known[1] and self._graph.opaque(self._tool, place):
            return 1.0
        return 0.0

    def _weight(self, place: str, label: str, prior: float) -> float:
        """The prior, corrected by how calls with a value from there have ended."""
        ok, failed = self._graph.tools[self._tool].sources.get(place, {}).get(label, (0, 0))
        share = (ok + 1.0) / (ok + failed + 1.5)
        return prior * (share if self._learning else share**3) + 1e-6

    def _some(self, entries: Sequence[tuple[int, Path, Any]], types: tuple[type, ...]) -> bool:
        return any(type(value) in types for _, _, value in entries)

    def _take(
        self, options: list[tuple[float, str, Any]], schema: Mapping[str, Any], types: Any, place: str
    ) -> Any:
        weights = [weight for weight, _, _ in options]
        _, kind, what = self._rng.choices(options, weights)[0]
        if kind == "result":
            return self._from_answer(what, types, place)
        if kind == "state":
            return self._from_state(what, types, place)
        self._sources[place] = Source(kind)
        if kind == "example":
            return self._rng.choice(what)
        if schema.get("type") in ("integer", "number"):
            return number_for(dict(schema), self._rng, self._graph.told(self._tool, place))
        return text_for(place, self._rng, self._graph.told(self._tool, place))

    def _from_answer(self, label: str, types: Any, place: str) -> Any:
        entries = [one for one in self._answers[label] if type(one[2]) in types]
        latest = [one for one in entries if one[0] == entries[-1][0]]
        # What stands together belongs together: a second value comes from the first one's place, but two
        # values of one kind are two.
        other = [one for one in latest if (one[0], one[1]) not in self._taken] or latest
        places = {(number, path[:-1]) for number, path in self._taken}
        near = [one for one in other if (one[0], one[1][:-1]) in places]
        same = any(pattern(path) == pattern(latest[0][1]) for n, path in self._taken if n == latest[0][0])
        choices = other if same or not near else near
        weights = [self._suits(place, traits(self._record(one[0], one[1]))) for one in choices]
        number, path, value = self._rng.choices(choices, weights)[0]
        self._taken.add((number, path))
        found = traits(self._record(number, path))
        self._sources[place] = Source("result", label, number, path, traits=found)
        self._anchor(value)
        return value

    def _record(self, number: int, path: Path) -> Any:
        """The object of an answer that holds a value."""
        record = self._values[number]
        for part in path[:-1]:
            record = record[part]
        return record

    def _suits(self, place: str, found: tuple[str, ...]) -> float:
        """How well calls have ended with records that say the same of themselves."""
        sources = self._graph.tools[self._tool].sources.get(place, {})
        weight = 1.0
        for trait in found:
            ok, failed = sources.get(f"trait:{trait}", (0, 0))
            weight *= ((ok + 1.0) / (ok + failed + 1.5)) ** (1 if self._learning else 2)
        return weight + 1e-9

    def _from_state(self, label: str, types: Any, place: str) -> Any:
        entries = [one for one in self._state.values[label] if type(one[1]) in types]
        anchored = [one for one in entries if self._anchors.get(one[0][0]) == one[0][1]]
        choices = anchored or entries
        weights = [self._suits(place, self._state.traits(spot)) for spot, _, _ in choices]
        spot, value, key = self._rng.choices(choices, weights)[0]
        self._anchors[spot[0]] = spot[1]
        self._anchor(value)
        self._sources[place] = Source("state", label, key=key, traits=self._state.traits(spot))
        return value
