"""The offered tools of a row: read in any dialect, found in a system prompt, or inferred from the calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...calls.declared import DeclarationError, Schema, any_of, has_type, json_schema, type_schema
from ...calls.schema import check_call
from ...calls.types import Call
from ...plain import once
from .fields import blank, field_name, unread
from .json_text import loads
from .rows import RowError

Tool = dict[str, Any]
_INSIDE = {"anyOf", "enum", "items", "properties", "nullable"}
_NOTHING = ("", "none", "null", "nan", "<na>", "n/a", "undefined")

#: Keys of a tool under which its parameters stand.
PARAMETERS = (
    *("parameters", "input_schema", "inputSchema", "params", "args", "arguments", "args_schema", "inputs"),
    *("parameter", "parameters_schema", "json_schema", "schema", "input"),
)
_LISTS = ("required_parameters", "optional_parameters")
_NAMES = ("name", "function_name", "api_name", "tool_name")
_DESCRIPTIONS = ("description", "api_description", "desc", "docstring", "summary")
_KINDS = ("function", "tool", "custom")
_READ = frozenset((*PARAMETERS, *_LISTS, "required"))
_SCHEMAS_OF_RESULTS = (
    *("outputSchema", "output_schema", "response", "responses", "returns", "return", "output", "results"),
    *("result", "annotations", "metadata", "examples", "template_response"),
)
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
        schema = _schema(fields, name, notes)
    except DeclarationError as error:
        raise RowError("tool_shape", str(error)) from None
    flags = _contradictions_of(schema)
    flags += ["schema_simplified" for note in notes if note == "simplified"]
    flags += [f"unread_schema_field:{field_name(note[4:])}" for note in notes if note.startswith("key:")]
    shown = {key, *list(said)[:1]}
    flags += unread("tool", fields, shown | _READ | ({"type"} if fields.get("type") in _KINDS else set()))
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
    inner = declared.get("function")
    if not isinstance(inner, Mapping):
        return declared
    outer = {k: v for k, v in declared.items() if k != "function" and not blank(v)}
    return {**outer, **{k: v for k, v in inner.items() if not blank(v) or k not in outer}}


def _schema(fields: Mapping[str, Any], tool: str, notes: dict[str, None]) -> Schema:
    """The parameters of a tool, wherever it states them.

    Raises:
        RowError: `tool_shape`.
    """
    keys = [key for key in PARAMETERS if key in fields and not blank(fields[key])]
    if not keys and fields.get("parameters") == []:
        keys = ["parameters"]
    stated = {key: _of_key(key, fields[key], tool, notes) for key in keys}
    lists = {key: fields[key] for key in _LISTS if key in fields and not blank(fields[key])}
    if lists:
        stated["required_parameters"] = _listed(lists, tool, notes)
    schemas = list(stated.values())
    if any(one != schemas[0] for one in schemas[1:]):
        raise RowError("tool_shape", f"{tool:.60} has parameters under {' and '.join(stated)}, which differ")
    if not stated:
        for key, value in fields.items():
            if key not in _SCHEMAS_OF_RESULTS and _looks_like_parameters(value):
                raise RowError(
                    "tool_shape",
                    f"{tool:.60} may have its parameters under {field_name(key)}, which is not read",
                )
    schema = dict(schemas[0]) if schemas else {}
    required = fields.get("required")
    if isinstance(required, list) and required:
        names = dict.fromkeys(one for one in required if isinstance(one, str))
        known = schema.get("properties", {}).keys()
        if not names.keys() <= known:
            notes["simplified"] = None
        own = [*schema.get("required", ()), *(one for one in names if one in known)]
        schema["required"] = list(dict.fromkeys(own))
    return schema


def _of_key(key: str, parameters: Any, tool: str, notes: dict[str, None]) -> Schema:
    if isinstance(parameters, str):
        parameters = unwrap(parameters)
    if isinstance(parameters, list) and parameters and all(_names_itself(one) for one in parameters):
        return _listed({key: parameters}, tool, notes)
    if not isinstance(parameters, Mapping):
        raise RowError("tool_shape", f"the {key} of {tool:.60} are a {type(parameters).__name__}")
    return json_schema(parameters, notes) if _is_schema(parameters) else _python_like(parameters, tool, notes)


def _listed(lists: Mapping[str, Any], tool: str, notes: dict[str, None]) -> Schema:
    """Parameters as lists of objects with a name, ToolBench's required and optional ones among them."""
    found: dict[str, Any] = {}
    required: list[str] = []
    for key, parameters in lists.items():
        if not isinstance(parameters, list) or not all(_names_itself(one) for one in parameters):
            raise RowError("tool_shape", f"the {key} of {tool:.60} are not a list of named parameters")
        for one in parameters:
            name = one["name"]
            if name in found:
                raise RowError("tool_shape", f"{tool:.60} has two parameters called {name:.60}")
            found[name] = {k: v for k, v in one.items() if k != "name" and not (k == "default" and blank(v))}
            if key == "required_parameters":
                required.append(name)
            elif key == "optional_parameters":
                found[name]["required"] = False
    schema = _python_like(found, tool, notes)
    listed = [name for name in found if name in required or name in schema["required"]]
    return {**schema, "required": listed}


def _looks_like_parameters(value: Any) -> bool:
    """Whether an object describes values: it has properties, or all its values state a type."""
    if isinstance(value, list):
        return bool(value) and all(_names_itself(one) and "type" in one for one in value)
    if not isinstance(value, Mapping) or not value:
        return False
    if isinstance(value.get("properties"), Mapping):
        return bool(value["properties"])
    return all(isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in value.values())


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


def _is_schema(parameters: Mapping[str, Any]) -> bool:
    """Whether parameters are a schema, and not APIGen's, which may be called `type` or `properties`."""
    properties = parameters.get("properties")
    return (
        parameters.get("type") in ("object", "dict")
        or isinstance(parameters.get("$ref"), str)
        or any(isinstance(parameters.get(key), list) for key in ("anyOf", "oneOf", "allOf"))
        or isinstance(parameters.get("additionalProperties"), bool)
        or (isinstance(properties, Mapping) and not isinstance(properties.get("type"), str))
    )


def _python_like(parameters: Mapping[str, Any], tool: str, notes: dict[str, None]) -> Schema:
    """APIGen's parameters: name -> {type, description, default}; a default makes a parameter optional."""
    properties, required = {}, []
    for name, declared in parameters.items():
        if isinstance(declared, str):
            declared = {"type": declared}
        if not isinstance(declared, Mapping):
            raise RowError("tool_shape", f"{tool:.60}.{name} is declared as {type(declared).__name__}")
        kind = declared.get("type")
        optional = type_schema(kind)[1] if isinstance(kind, str) else False
        if isinstance(declared.get("required"), bool):
            optional = optional or not declared["required"]
        optional = optional or declared.get("optional") is True
        schema = properties[str(name)] = json_schema(declared, notes)
        if not (optional or "default" in schema):
            required.append(str(name))
    return {"properties": properties, "required": required}


def no_tools(declared: Any) -> bool:
    """Whether a row's tool list is none at all: null, NaN, or a text that says so."""
    return (
        declared is None
        or declared != declared
        or (isinstance(declared, str) and declared.strip().strip("\"'").lower() in _NOTHING)
    )


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


def _names_itself(declared: Any) -> bool:
    return isinstance(declared, Mapping) and (
        any(isinstance(declared.get(key), str) for key in _NAMES)
        or isinstance(declared.get("function"), Mapping)
    )


def _by_name(tools: Mapping[str, Any]) -> list[Any]:
    """The list that `{NAME: tool without its name}` stands for."""
    return [{**tool, "name": name} if isinstance(tool, Mapping) else tool for name, tool in tools.items()]


def unwrap(text: str, distinct: bool = False) -> Any:
    """JSON text as a value; JSON text inside a JSON string is opened as well (twice at most); see `loads`."""
    value = loads(text, distinct)
    return (
        loads(value, distinct) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{", '"') else value
    )


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
