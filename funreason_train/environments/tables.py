"""Worlds that are a few tables: what is declared is checked, and a call that fails leaves no trace."""

from __future__ import annotations

import json
import marshal
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from ..calls import Call, check_call
from ..calls.schema import type_of
from .protocol import Environment, Result, brief
from .schemas import convert
from .tools import Tool, ToolError, tools_of

State = dict[str, Any]

_MOST_BITS = 14_000  # Python does not write integers of more than 4,300 decimal digits
_DEEPEST = 32
_FRESH, _MET = "fresh", "met"


class TableWorld(Environment):
    """A small world whose state changes only through its tools.

    A subclass lists its tables and marks its tools with `@tool`; a tool reads and writes `self.state`,
    returns a JSON-able dict, and raises `ToolError` for a call that the state does not allow. Whatever a tool
    raises, the state is again as it was before the call.

    Attributes:
        name: The name in the registry.
        tables: The tables of the state; each maps an id to a record.
        state: The tables; `fresh`: table -> the ids that new records will get, in order (ids come from the
            configuration so that nobody can guess one without having seen the tool's answer); and, where a
            tool requires another, `met`: the required tools that have succeeded and were not ended since.
    """

    tables: ClassVar[tuple[str, ...]] = ()
    _tools: ClassVar[dict[str, Tool]] = {}
    _parts: ClassVar[tuple[str, ...]] = ()
    _conditions: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._tools = tools_of(cls)
        cls._conditions = frozenset(name for one in cls._tools.values() for name in one.requires)
        cls._parts = (*cls.tables, _FRESH, *((_MET,) if cls._conditions else ()))

    def __init__(self) -> None:
        self.state: State = {}
        self.reset({})

    def reset(self, config: Mapping[str, Any]) -> None:
        """Starts from a configuration: any of the tables, `fresh` and `met`, each an object.

        Raises:
            ValueError: The configuration holds something that this environment does not have.
        """
        if unknown := sorted(set(config) - set(self._parts)):
            raise ValueError(
                f"environment {self.name} has no table {', '.join(unknown)}; it has {', '.join(self._parts)}"
            )
        for part, value in config.items():
            if not isinstance(value, Mapping):
                raise ValueError(
                    f"the table {part} of environment {self.name} is a {type(value).__name__}, not an object"
                )
        self.state = _copy({part: dict(config.get(part, {})) for part in self._parts})

    @classmethod
    def tools(cls) -> list[dict[str, Any]]:
        """Every tool's document, in the order of the source."""
        return [dict(one.document) for one in cls._tools.values()]

    def call(self, call: Call) -> Result:
        """Executes one call.

        Returns:
            The tool's answer as JSON text; `{"error": …}` for an unknown tool, for arguments that do not fit
            its parameters, and for a call that the state does not allow.
        """
        if problems := self._problems(call):
            return _failed("; ".join(problems))
        one, before = self._tools[call.name], marshal.dumps(self.state)
        try:
            arguments = {name: convert(one.hints[name], value) for name, value in call.arguments.items()}
            text = json.dumps(getattr(self, call.name)(**arguments), ensure_ascii=False, allow_nan=False)
            result = Result(text, True, json.loads(text))
        except ToolError as error:
            result = _failed(str(error))
        except Exception as error:  # of a tool that was not written for these arguments
            result = _failed(f"{call.name} failed ({type(error).__name__}: {brief(error)})")
        if not result.ok:
            self.state = marshal.loads(before)
            return result
        if call.name in self._conditions:
            self.state[_MET][call.name] = True
        for name in one.ends:
            self.state.get(_MET, {}).pop(name, None)
        return result

    def _problems(self, call: Call) -> list[str]:
        """Why a call is not even tried."""
        if unsound := [name for name, value in call.arguments.items() if not _is_sound(value)]:
            return [
                f"unusable_value: {call.name}.{name} is too large, too deep or not finite" for name in unsound
            ]
        if call.name not in self._tools:
            return [f"unknown_tool: {call.name}"]
        one = self._tools[call.name]
        problems = check_call(call, {call.name: one.schema})
        problems = problems or bound_problems(one.document["parameters"], call.arguments, call.name)
        if not problems and (missing := [name for name in one.requires if not self.state[_MET].get(name)]):
            return [f"{call.name} needs {' and '.join(missing)} to be called first"]
        return problems

    def snapshot(self) -> State:
        """A copy of the state."""
        return _copy(self.state)

    def compare(self, other: Any) -> list[str]:
        """How this state differs from another snapshot: one sentence a record, named `TABLE/ID`."""
        found = []
        for part in self._parts:
            mine, theirs = self.state[part], other.get(part, {}) if isinstance(other, Mapping) else {}
            for key in sorted(mine.keys() | theirs.keys()):
                if mine.get(key) != theirs.get(key):
                    found.append(f"{part}/{key} is {brief(mine.get(key))}, not {brief(theirs.get(key))}")
        return found

    def record(self, table: str, key: str) -> dict[str, Any]:
        """The record under an id, to read or to change; an unknown id is the tool's error."""
        try:
            return self.state[table][key]
        except KeyError:
            raise ToolError(f"{key} is not in {table}") from None

    def find(self, table: str, **fields: Any) -> str:
        """The id of the latest record with these fields; none is the tool's error."""
        for key, record in reversed(self.state[table].items()):
            if all(record.get(name) == value for name, value in fields.items()):
                return key
        raise ToolError(f"nothing in {table} with " + ", ".join(f"{k} {v}" for k, v in fields.items()))

    def add(self, table: str, record: dict[str, Any]) -> str:
        """Stores a new record under the next fresh id of its table and returns the id."""
        fresh = self.state[_FRESH].get(table)
        if not fresh:
            raise ToolError(f"no room for another record in {table}")
        key = fresh.pop(0)
        self.state[table][key] = record
        return key


def _copy(state: State) -> State:
    try:
        return dict(marshal.loads(marshal.dumps(state)))
    except ValueError as error:
        raise ValueError(f"a state holds only what JSON has ({error})") from None


def _failed(reason: str) -> Result:
    value = {"error": reason}
    return Result(json.dumps(value, ensure_ascii=False), False, value)


def _is_sound(value: Any, depth: int = 0) -> bool:
    """Whether a value can be computed with and written: no number beyond Python's, no bottomless nesting."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if isinstance(value, (list, tuple, Mapping)):
        items = value.values() if isinstance(value, Mapping) else value
        return depth < _DEEPEST and all(_is_sound(item, depth + 1) for item in items)
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    return not isinstance(value, float) or math.isfinite(value)


def bound_problems(schema: Any, value: Any, where: str) -> list[str]:
    """Every number that lies outside its schema's bounds, at any depth."""
    if not isinstance(schema, Mapping):
        return []
    found: list[str] = []
    if isinstance(value, str) and "anyOf" not in schema:
        return found
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if "minimum" in schema and not value >= schema["minimum"]:
            found.append(f"out_of_range: {where} is less than {schema['minimum']}")
        if "maximum" in schema and not value <= schema["maximum"]:
            found.append(f"out_of_range: {where} is more than {schema['maximum']}")
    elif isinstance(value, Mapping):
        named, other = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            found += bound_problems(named.get(key, other), item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            found += bound_problems(schema.get("items"), item, f"{where}[{number}]")
    for branch in schema.get("anyOf", ()):
        if branch.get("type") in (type_of(value), "number" if type_of(value) == "integer" else None):
            found += bound_problems(branch, value, where)
    return found
