"""What an environment is: tools over a state, where even a wrong call only returns text."""

from __future__ import annotations

import copy
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from ..calls import Call, Schema, check_call, index_tools

State = dict[str, Any]

_JSON_TYPES = {str: "string", int: "integer"}


class ToolError(Exception):
    """What a tool answers to a call that the state does not allow; the caller sees `{"error": …}`."""


def tool(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Offers a method as a tool: its docstring is the description, its annotations are the parameters."""
    function.__tool__ = True  # type: ignore[attr-defined]
    return function


class Environment:
    """A small world whose state changes only through its tools.

    A subclass lists its tables and marks its tools with `@tool`; a tool reads and writes `self.state`,
    returns a JSON-able dict, and raises `ToolError` *before* it has changed anything. A world of another kind
    (BFCL's, `bfcl.environment`) overrides `reset`, `tools`, `call`, `snapshot` and `compare`.

    Attributes:
        name: The name in the registry.
        tables: The tables of the state; each maps an id to a record.
        state: The tables, and `fresh`: kind of id -> the ids that new records will get, in order. Ids come
            from the configuration so that nobody can guess one without having seen the tool's answer.
    """

    name: ClassVar[str]
    tables: ClassVar[tuple[str, ...]]
    _parameters: ClassVar[dict[str, Schema]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._parameters = index_tools(cls.tools())

    def __init__(self) -> None:
        self.state: State = {}
        self.reset({})

    def reset(self, config: Mapping[str, Any]) -> None:
        """Starts from a configuration: any of the tables, and `fresh`.

        Raises:
            ValueError: The configuration holds a table that this environment does not have.
        """
        known = (*self.tables, "fresh")
        if unknown := sorted(set(config) - set(known)):
            raise ValueError(
                f"environment {self.name} has no table {', '.join(unknown)}; it has {', '.join(known)}"
            )
        self.state = {table: copy.deepcopy(dict(config.get(table, {}))) for table in known}

    @classmethod
    def tools(cls) -> list[dict[str, Any]]:
        """Every tool as `{"name", "description", "parameters": JSON schema}`, in the order of the source."""
        return [
            {"name": name, "description": inspect.getdoc(method) or "", "parameters": _schema(method)}
            for name, method in vars(cls).items()
            if getattr(method, "__tool__", False)
        ]

    def call(self, call: Call) -> str:
        """Executes one call.

        Returns:
            The tool's answer as JSON text; `{"error": …}` for an unknown tool, for arguments that do not fit
            its parameters, and for a call that the state does not allow. A call never raises, and one that
            ends in an error has changed nothing.
        """
        problems = check_call(call, self._parameters)
        if problems:
            return _text({"error": "; ".join(problems)})
        try:
            return _text(getattr(self, call.name)(**call.arguments))
        except ToolError as error:
            return _text({"error": str(error)})

    def snapshot(self) -> State:
        """A JSON-able copy of the state."""
        return copy.deepcopy(self.state)

    def compare(self, other: Mapping[str, Any]) -> list[str]:
        """How this state differs from another snapshot; empty when they are equal.

        Returns:
            One sentence for each record that differs, named `TABLE/ID`.
        """
        differences = []
        for table in (*self.tables, "fresh"):
            mine, theirs = self.state[table], other.get(table, {})
            for key in sorted(mine.keys() | theirs.keys()):
                if mine.get(key) != theirs.get(key):
                    differences.append(f"{table}/{key} is {mine.get(key)}, not {theirs.get(key)}")
        return differences

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
        fresh = self.state["fresh"].get(table)
        if not fresh:
            raise ToolError(f"no room for another record in {table}")
        key = fresh.pop(0)
        self.state[table][key] = record
        return key


def _text(answer: Mapping[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)


def _schema(method: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of a tool's parameters, read from its annotations."""
    hints = typing.get_type_hints(method)
    parameters = [p for p in inspect.signature(method).parameters.values() if p.name != "self"]
    return {
        "type": "object",
        "properties": {parameter.name: _type_schema(hints[parameter.name]) for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.default is parameter.empty],
    }


def _type_schema(hint: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is Literal:
        return {"type": "string", "enum": list(typing.get_args(hint))}
    return {"type": _JSON_TYPES[hint]}
