"""The offered tools of a row: read in any dialect, found in a system prompt, or inferred from the calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...calls.declared import DeclarationError, Schema, any_of, has_type
from ...calls.schema import check_call
from ...calls.types import Call
from ...plain import once
from .fields import blank, field_name, says_nothing, unread
from .json_text import opened
from .parameters import PARAMETERS, READ, is_schema, parameters_of
from .rows import RowError
from .system import find_tools

Tool = dict[str, Any]
_INSIDE = {"anyOf", "enum", "items", "properties", "nullable"}
_NAMES = ("name", "function_name", "api_name", "tool_name")
_DESCRIPTIONS = ("description", "api_description", "desc", "docstring", "summary")
_KINDS = ("function", "tool", "custom", "object")
#: Tools that some API brings along and knows the parameters of.
_OF_AN_API = re.compile(
    r"\w+_20\d{6}|(?:web|file)_search(?:_preview)?|code_(?:interpreter|execution)|computer(?:_use)?(?:_preview)?|bash"
    r"|text_editor|image_generation|local_shell|mcp|retrieval|google_search|google_search_retrieval|url_context"
)
_HOLDERS = frozenset(("functionDeclarations", "function_declarations", "tools", "functions"))  # of lists
_INNER = ("function", "toolSpec")
#: What the root of a schema may say beside properties and required.
_OF_ROOT = ("anyOf", "additionalProperties", "patternProperties", "minProperties", "maxProperties")


@once(8192)
def read_tool(declared: Any) -> tuple[Tool, list[str]]:
    """One tool in the project's form.

    Args:
        declared: A tool as APIGen, BFCL, JSON schema, the OpenAI and Anthropic APIs, MCP or ToolBench write
            it.

    Returns:
        `{"name", "description", "parameters": schema of type object}`, and the flags raised
        (`default_contradicts_type`: the stated default is kept although it is not of the declared type;
        `unread_tool_field:NAME` and `unread_schema_field:NAME` for what is not shown; `schema_simplified`).
        Equal declarations give the same objects, which must not be changed.

    Raises:
        RowError: `tool_shape`, also for parameters under a key that is not read.
    """
    fields = _opened(declared)
    named = {key: fields[key] for key in _NAMES if isinstance(fields.get(key), str) and fields[key]}
    if not named:
        raise RowError("tool_shape", "a tool without a name")
    key, name = next(iter(named.items()))
    said = {one: fields[one] for one in _DESCRIPTIONS if isinstance(fields.get(one), str) and fields[one]}
    notes: dict[str, None] = {}
    try:
        schema = parameters_of(fields, name, notes)
    except DeclarationError as error:
        raise RowError("tool_shape", str(error)) from None
    kind = fields.get("type")
    if isinstance(kind, str) and _OF_AN_API.fullmatch(kind) and not schema.get("properties"):
        raise RowError(
            "tool_shape", f"{name:.60} is {kind:.40}, an API's own tool, whose parameters are not stated"
        )
    flags = _contradictions_of(schema)
    flags += ["schema_simplified" for note in notes if note == "simplified"]
    flags += [f"unread_schema_field:{field_name(note[4:])}" for note in notes if note.startswith("key:")]
    shown = {key, *list(said)[:1]}
    flags += unread("tool", fields, shown | READ | ({"type"} if fields.get("type") in _KINDS else set()))
    flags += _outside(declared, fields)
    tool = {
        "name": name,
        "description": next(iter(said.values()), ""),
        "parameters": {
            "type": "object",
            "properties": schema.get("properties", {}),
            "required": schema.get("required", []),
            **{one: schema[one] for one in _OF_ROOT if one in schema},
        },
    }
    # What is in this form keeps the order of its keys.
    return (dict(declared) if tool == declared else tool), flags


def _opened(declared: Any) -> Mapping[str, Any]:
    """A tool's fields, with those that stand beside a `function` of the API's form."""
    if not isinstance(declared, Mapping):
        raise RowError("tool_shape", f"a tool is a {type(declared).__name__}, not an object")
    key, inner = _inner(declared)
    if inner is None:
        return declared
    outer = {k: v for k, v in declared.items() if k != key and not blank(v)}
    return {**outer, **{k: v for k, v in inner.items() if not blank(v) or k not in outer}}


def _inner(declared: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    for key in _INNER:
        value = declared.get(key)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = opened(value)
        if isinstance(value, Mapping):
            return key, value
    return "", None


def _outside(declared: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    """Flags for what stands beside a `function` in other words than inside it."""
    if _inner(declared)[1] is None:
        return []
    return [
        f"unread_tool_field:{field_name(key)}"
        for key, value in declared.items()
        if key not in _INNER and not blank(value) and fields.get(key) != value
    ]


def _contradictions_of(schema: Schema) -> list[str]:
    found = sum(map(_contradictions, schema.get("properties", {}).values()))
    return ["default_contradicts_type"] * found


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


def no_tools(declared: Any) -> bool:
    """Whether a row's tool list is none at all: null, NaN, or a text that says so."""
    return declared is None or declared != declared or says_nothing(declared)


def read_tools(declared: Any) -> tuple[tuple[Tool, ...], list[str]]:
    """A row's tool list; see `read_tool`.

    Args:
        declared: A list of tools, one tool, or an object of tools by name; or JSON text of it.

    Raises:
        RowError: `tool_shape`, `duplicate_tool`, `invalid_json`.
    """
    if isinstance(declared, str):
        declared = _of_text(declared)
    if isinstance(declared, Mapping):
        declared = [declared] if _names_itself(declared) or _holder(declared) else _by_name(declared)
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        raise RowError("tool_shape", "the tools are not a list")
    tools: list[Tool] = []
    flags: list[str] = []
    named: dict[str, Tool] = {}
    for one in _single(declared):
        tool, raised = read_tool(one)
        if tool["name"] in named:
            if tool == named[tool["name"]]:
                flags.append("repeated_tool")
                continue
            raise RowError("duplicate_tool", f"two different tools are called {tool['name']}")
        named[tool["name"]] = tool
        tools.append(tool)
        flags += raised
    return tuple(tools), flags


def _of_text(text: str) -> Any:
    """A tool list that stands as text: JSON or Python's literals, as one value or one tool a line."""
    try:
        return opened(text)
    except RowError as error:
        found = find_tools(text) if error.reason == "invalid_json" else None
        if found is None or found[1].strip():
            raise
        return found[0]


def _holder(declared: Mapping[str, Any]) -> str | None:
    """The key under which an object holds a list of tools and nothing else."""
    if _HOLDERS.isdisjoint(declared):
        return None
    held = [key for key in _HOLDERS if isinstance(declared.get(key), list)]
    return (
        held[0]
        if len(held) == 1 and all(blank(declared[key]) for key in declared if key != held[0])
        else None
    )


def _single(declared: Sequence[Any]) -> Iterator[Any]:
    """Each tool of a list; Gemini puts lists into it, and tables nulls."""
    for one in declared:
        if isinstance(one, str) and one.strip():
            one = opened(one)
        if blank(one):
            continue
        key = _holder(one) if isinstance(one, (dict, Mapping)) else None
        yield from _single(one[key]) if key else (one,)


def _names_itself(declared: Any) -> bool:
    return isinstance(declared, Mapping) and (
        any(isinstance(declared.get(key), str) for key in _NAMES) or _inner(declared)[1] is not None
    )


def _by_name(tools: Mapping[str, Any]) -> list[Any]:
    """The list that `{NAME: tool without its name}` stands for, or `{NAME: schema of its parameters}`."""
    return [_named(str(name), tool) for name, tool in tools.items()]


def _named(name: str, tool: Any) -> Any:
    if not isinstance(tool, Mapping):
        return tool
    if is_schema(tool) and not any(key in tool for key in PARAMETERS):
        return {"name": name, "parameters": tool}
    return {**tool, "name": name}


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
