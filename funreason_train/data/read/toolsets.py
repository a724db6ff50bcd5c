"""The offered tools of a row: read in any dialect, found in a system prompt, or inferred from the calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...calls.declared import Schema, any_of, has_type, json_schema, type_schema
from ...calls.schema import check_call
from ...calls.types import Call
from ...plain import once
from .rows import RowError

Tool = dict[str, Any]
_INSIDE = {"anyOf", "enum", "items", "properties", "nullable"}
_LIST = re.compile(r"\[\s*\{")
_OBJECT_LINE = re.compile(r"^[^\S\n]*(?=\{)", re.MULTILINE)
_FAILURES = 1_000  # beginnings of a list that are none: beyond, no list is looked for any more
_READ_AGAIN = 20  # how often all of a text may be read in vain


@once(8192)
def read_tool(declared: Any) -> tuple[Tool, list[str]]:
    """One tool in the project's form.

    Args:
        declared: A tool as APIGen, BFCL, JSON schema or the OpenAI API write it.

    Returns:
        `{"name", "description", "parameters": schema of type object}`, and the flags raised
        (`default_contradicts_type`: the stated default is kept although it is not of the declared type).
        Equal declarations give the same objects, which must not be changed.

    Raises:
        RowError: `tool_shape`.
    """
    if isinstance(declared, Mapping) and isinstance(declared.get("function"), Mapping):
        declared = declared["function"]
    if not isinstance(declared, Mapping) or not isinstance(declared.get("name"), str) or not declared["name"]:
        raise RowError("tool_shape", "a tool without a name")
    name = declared["name"]
    parameters = declared.get("parameters", declared.get("input_schema"))
    if isinstance(parameters, str):
        parameters = unwrap(parameters)
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, Mapping):
        raise RowError("tool_shape", f"the parameters of {name} are a {type(parameters).__name__}")
    schema = json_schema(parameters) if _is_schema(parameters) else _python_like(parameters, name)
    properties = schema.get("properties", {})
    flags = ["default_contradicts_type" for _ in range(sum(map(_contradictions, properties.values())))]
    description = declared.get("description")
    tool = {
        "name": name,
        "description": description if isinstance(description, str) else "",
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": schema.get("required", []),
            **(
                {"additionalProperties": schema["additionalProperties"]}
                if "additionalProperties" in schema
                else {}
            ),
        },
    }
    return (
        dict(declared) if tool == declared else tool
    ), flags  # what is in this form keeps its order of keys


def _contradictions(schema: Schema) -> int:
    """How many defaults in a schema are not what the schema asks for."""
    found = 0
    if "default" in schema:
        value = schema["default"]
        if schema.keys() & _INSIDE:
            tool = {"name": "f", "parameters": {"properties": {"a": schema}}}
            found += bool(check_call(Call("f", {"a": value}), [tool]))
        else:
            found += not has_type(value, schema)
    for part in schema.get("properties", {}).values():
        found += _contradictions(part)
    return found + (_contradictions(schema["items"]) if "items" in schema else 0)


def _is_schema(parameters: Mapping[str, Any]) -> bool:
    """Whether parameters are a schema, and not APIGen's, which may be called `type` or `properties`."""
    properties = parameters.get("properties")
    return (
        parameters.get("type") in ("object", "dict")
        or isinstance(parameters.get("$ref"), str)
        or (isinstance(properties, Mapping) and not isinstance(properties.get("type"), str))
    )


def _python_like(parameters: Mapping[str, Any], tool: str) -> Schema:
    """APIGen's parameters: name -> {type, description, default}; a default makes a parameter optional."""
    properties, required = {}, []
    for name, declared in parameters.items():
        if isinstance(declared, str):
            declared = {"type": declared}
        if not isinstance(declared, Mapping):
            raise RowError("tool_shape", f"{tool}.{name} is declared as {type(declared).__name__}")
        kind = declared.get("type")
        optional = type_schema(kind)[1] if isinstance(kind, str) else False
        if isinstance(declared.get("required"), bool):
            optional = optional or not declared["required"]
        schema = properties[str(name)] = json_schema(declared)
        if not (optional or "default" in schema):
            required.append(str(name))
    return {"properties": properties, "required": required}


def read_tools(declared: Any) -> tuple[tuple[Tool, ...], list[str]]:
    """A row's tool list; see `read_tool`.

    Args:
        declared: A list of tools, one tool, or an object of tools by name; or JSON text of it.

    Raises:
        RowError: `tool_shape`, `duplicate_tool`, `invalid_json`.
    """
    if isinstance(declared, str):
        declared = unwrap(declared)
    if isinstance(declared, Mapping):
        declared = [declared] if _names_itself(declared) else _by_name(declared)
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        raise RowError("tool_shape", "the tools are not a list")
    tools: list[Tool] = []
    flags: list[str] = []
    named: dict[str, Tool] = {}
    for one in declared:
        tool, raised = read_tool(unwrap(one) if isinstance(one, str) else one)
        if tool["name"] in named:
            if tool == named[tool["name"]]:
                flags.append("repeated_tool")
                continue
            raise RowError("duplicate_tool", f"two different tools are called {tool['name']}")
        named[tool["name"]] = tool
        tools.append(tool)
        flags += raised
    return tuple(tools), flags


def _names_itself(declared: Mapping[str, Any]) -> bool:
    return isinstance(declared.get("name"), str) or isinstance(declared.get("function"), Mapping)


def _by_name(tools: Mapping[str, Any]) -> list[Any]:
    """The list that `{NAME: tool without its name}` stands for."""
    return [{**tool, "name": name} if isinstance(tool, Mapping) else tool for name, tool in tools.items()]


def unwrap(text: str) -> Any:
    """JSON text as a value; JSON text inside a JSON string is opened as well (twice at most)."""
    from .files import loads

    value = loads(text)
    return loads(value) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{", '"') else value


def find_tools(system: str) -> tuple[Any, str] | None:
    """The first JSON tool list in a system prompt.

    Args:
        system: The prompt; tools stand as one JSON list, or one JSON object a line.

    Returns:
        The list as read, and the prompt without it; None if there is no such list.
    """
    reader = _Reader(system)
    for match in _LIST.finditer(system):
        value, end = reader.read(match.start())
        if value is not None and all(_is_tool(one) for one in value):
            return value, _without(system, match.start(), end)
        if reader.tired:
            break
    reader = _Reader(system)
    found, first, last = [], None, 0
    for match in _OBJECT_LINE.finditer(system):
        if match.end() < last:
            continue
        value, end = reader.read(match.end())
        if _is_tool(value):
            found.append(value)
            first, last = match.end() if first is None else first, end
        elif reader.tired:
            break
    return (found, _without(system, first, last)) if first is not None else None


class _Reader:
    """Reads JSON in the middle of a text; gives up on texts that are made to be read in vain.

    Attributes:
        tired: Whether too much has been read without finding a tool.
    """

    def __init__(self, text: str) -> None:
        self._text, self._decoder = text, json.JSONDecoder()
        self._failures, self._characters = _FAILURES, _READ_AGAIN * len(text)

    @property
    def tired(self) -> bool:
        return self._failures < 0 or self._characters < 0

    def read(self, start: int) -> tuple[Any, int]:
        """The value that begins here and where it ends; None and its own beginning if there is none."""
        self._failures -= 1
        try:
            value, end = self._decoder.raw_decode(self._text, start)
        except ValueError as error:
            whole = not isinstance(error, json.JSONDecodeError) or error.msg.startswith("Unterminated")
            self._characters -= (len(self._text) if whole else error.pos) - start  # type: ignore[attr-defined]
            return None, start
        except RecursionError:
            return None, start
        if _is_tool(value):
            self._failures += 1
        else:
            self._characters -= end - start
        return value, end


def _is_tool(value: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    return isinstance(value, Mapping) and isinstance(value.get("name"), str) and "arguments" not in value


def _without(text: str, start: int, end: int) -> str:
    return (text[:start].rstrip() + "\n" + text[end:].lstrip()).strip()


def infer_tools(calls: Iterable[Call]) -> tuple[Tool, ...]:
    """Permissive tools that admit exactly the names and argument names seen: nothing is required.

    Args:
        calls: Every gold call of a conversation.
    """
    seen: dict[str, dict[str, list[Schema]]] = {}
    for call in calls:
        arguments = seen.setdefault(call.name, {})
        for name, value in call.arguments.items():
            arguments.setdefault(name, []).append(_observed(value))
    return tuple(
        {
            "name": name,
            "description": "",
            "parameters": {
                "type": "object",
                "properties": {key: any_of(schemas) for key, schemas in arguments.items()},
                "required": [],
            },
        }
        for name, arguments in seen.items()
    )


def _observed(value: Any) -> Schema:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, (int, float)):
        return {"type": "integer" if isinstance(value, int) else "number"}
    if isinstance(value, str):
        return {"type": "string"}
    return {} if value is None else {"type": "array" if isinstance(value, list) else "object"}
