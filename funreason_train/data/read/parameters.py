"""Where a tool states its parameters: in any dialect, and never passed over as a tool that takes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...calls.declared import UNDERSTOOD, Schema, json_schema, type_schema
from .fields import blank, field_name, says_nothing
from .json_text import opened
from .rows import RowError

#: Keys of a tool under which its parameters stand.
PARAMETERS = (
    *("parameters", "input_schema", "inputSchema", "params", "args", "arguments", "args_schema", "inputs"),
    *("parameter", "parameters_schema", "json_schema", "schema", "input", "parametersJsonSchema"),
    *("parameter_definitions", "inputs_schema"),
)
_LISTS = ("required_parameters", "optional_parameters")
#: Keys of a tool that are read here.
READ = frozenset((*PARAMETERS, *_LISTS, "required"))
_DIALECTS = ("array", "string", "number", "integer", "boolean", "null")
_SAYING = ("properties", "anyOf", "additionalProperties", "patternProperties")
_LOST = ("simplified", "key:unevaluatedProperties", "key:propertyNames", "key:dependentSchemas", "key:if")
_SHAPE = re.compile(r"param|arg|input|propert|schema|field|slot|body|query|signature", re.IGNORECASE)
_DEEPEST = 6  # levels that are searched for a schema
_LONG_TYPE = 200  # characters; more are a description
_FEW_WORDS = 3  # fewer are a type
_ONLY_TYPE = re.compile(
    r"""(?:(?:list|array|tuple|set|sequence|dict|dictionary|map)\s+of\s+)*[\w.]+
        (?:\s*\[[^\n]*\])?(?:\s+or\s+[\w.]+)*\s*
        (?:[,;(]\s*(?:optional|required|default[\w\s:=]*\S*)\s*\)?\s*[,;.]?\s*(?:default.*)?)?\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_TYPE_BEFORE = re.compile(
    r"[\w.\[\]]+\s*[,;:(|.–-]|(?:list|array|tuple|set|sequence|dict|dictionary|map)\s+of\s", re.I
)
_WORDS = re.compile(r"signature|param|arg", re.IGNORECASE)
_OF_CODE = re.compile(r"[(:{]\s*\w")
_WRAPPERS = ("json", "jsonSchema", "json_schema", "schema", "parameters")
_SCHEMAS_OF_RESULTS = (
    *("outputSchema", "output_schema", "response", "responses", "returns", "return", "output", "results"),
    *("result", "annotations", "metadata", "examples", "template_response", "responseSchema"),
    *("responseJsonSchema", "input_examples", "example", "description"),
)


def parameters_of(fields: Mapping[str, Any], tool: str, notes: dict[str, None]) -> Schema:
    """The parameters of a tool, wherever it states them.

    Args:
        fields: The tool.
        tool: Its name.
        notes: As in `json_schema`.

    Raises:
        RowError: `tool_shape`, also where they may stand under a key that is not read.
    """
    keys = [key for key in PARAMETERS if key in fields and _stated(fields[key])]
    if not keys and fields.get("parameters") == []:
        keys = ["parameters"]
    stated = {key: _of_key(key, fields[key], tool, notes) for key in keys}
    lists = {key: fields[key] for key in _LISTS if key in fields and not blank(fields[key])}
    if lists:
        stated["required_parameters"] = _listed(lists, tool, notes)
    schemas = list(stated.values())
    if any(one != schemas[0] for one in schemas[1:]):
        raise RowError("tool_shape", f"{tool:.60} has parameters under {' and '.join(stated)}, which differ")
    schema = dict(schemas[0]) if schemas else {}
    if not any(schema.get(key) for key in _SAYING):
        _search(fields, tool)
        if any(note in notes for note in _LOST):
            raise RowError("tool_shape", f"the parameters of {tool:.60} say nothing that is read")
    required = fields.get("required")
    if isinstance(required, list) and required:
        names = dict.fromkeys(one for one in required if isinstance(one, str))
        known = schema.get("properties", {}).keys()
        if not names.keys() <= known:
            notes["simplified"] = None
        own = [*schema.get("required", ()), *(one for one in names if one in known)]
        schema["required"] = list(dict.fromkeys(own))
    return schema


def _stated(value: Any) -> bool:
    return not blank(value) and not says_nothing(value)


def _search(fields: Mapping[str, Any], tool: str) -> None:
    """Makes sure that a tool which seems to take nothing has no parameters elsewhere.

    Raises:
        RowError: `tool_shape`.
    """
    for key, value in fields.items():
        if key in _SCHEMAS_OF_RESULTS or key in READ:
            continue
        named = isinstance(key, str) and _SHAPE.search(key) and isinstance(value, (Mapping, list))
        if isinstance(value, str) and isinstance(key, str) and _WORDS.search(key):
            named = _OF_CODE.search(value) is not None  # "f(a: str)"
        if (named and not blank(value)) or _looks_like_parameters(value):
            raise RowError(
                "tool_shape", f"{tool:.60} may have its parameters under {field_name(key)}, which is not read"
            )


def _of_key(key: str, parameters: Any, tool: str, notes: dict[str, None]) -> Schema:
    if isinstance(parameters, str):
        parameters = opened(parameters)
    if isinstance(parameters, Mapping):
        parameters = _unwrapped(parameters, key, tool)
    if isinstance(parameters, list) and parameters and all(_names_itself(one) for one in parameters):
        return _listed({key: parameters}, tool, notes)
    if not isinstance(parameters, Mapping):
        raise RowError("tool_shape", f"the {key} of {tool:.60} are a {type(parameters).__name__}")
    if not is_schema(parameters):
        return _python_like(parameters, tool, notes)
    if parameters.get("properties") and isinstance(parameters.get("required"), bool):
        notes["simplified"] = None  # of all or of none: it says nothing of one
    return json_schema(parameters, notes)


def _unwrapped(parameters: Mapping[str, Any], key: str, tool: str) -> Mapping[str, Any]:
    """Parameters out of the one object around them that Bedrock and others write.

    Raises:
        RowError: `tool_shape` where that may as well be a parameter, or is no object at all.
    """
    kind = parameters.get("type")
    other = isinstance(kind, str) and kind.lower() in _DIALECTS and "properties" not in parameters
    if other and all(not isinstance(one, Mapping) or name == "items" for name, one in parameters.items()):
        raise RowError("tool_shape", f"the {key} of {tool:.60} are of the type {kind}, not an object")
    if len(parameters) != 1:
        return parameters
    name, inner = next(iter(parameters.items()))
    if (
        name not in _WRAPPERS
        or not isinstance(inner, Mapping)
        or not isinstance(inner.get("properties"), Mapping)
    ):
        return parameters
    if name in ("json", "jsonSchema"):
        return inner
    raise RowError("tool_shape", f"the {key} of {tool:.60} hold {name}, which may be one or hold them")


def _listed(lists: Mapping[str, Any], tool: str, notes: dict[str, None]) -> Schema:
    """Parameters as lists of objects with a name, ToolBench's required and optional ones among them."""
    found: dict[str, Any] = {}
    required: list[str] = []
    for key, parameters in lists.items():
        if not isinstance(parameters, list) or not all(_names_itself(one) for one in parameters):
            raise RowError("tool_shape", f"the {key} of {tool:.60} are not a list of named parameters")
        for one in parameters:
            name = one["name"]
            schema = one.get("schema")
            if "in" in one and isinstance(schema, Mapping):  # OpenAPI's, optional unless it says so
                own = {k: v for k, v in one.items() if k not in ("in", "schema")}
                one = {"required": False, **schema, **own}
            if name in found:
                raise RowError("tool_shape", f"{tool:.60} has two parameters called {name:.60}")
            found[name] = {k: v for k, v in one.items() if k != "name" and not (k == "default" and blank(v))}
            if key == "required_parameters":
                required.append(name)
            elif key == "optional_parameters":
                found[name]["required"] = False
    whole = _python_like(found, tool, notes)
    listed = [name for name in found if name in required or name in whole["required"]]
    return {**whole, "required": listed}


def _looks_like_parameters(value: Any, depth: int = 0) -> bool:
    """Whether an object describes values: it has properties, or all its values state a type, at any depth."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, list):
        named = bool(value) and all(_names_itself(one) and "type" in one for one in value)
        return named or any(
            isinstance(one, Mapping) and _looks_like_parameters(one, depth + 1) for one in value
        )
    if not isinstance(value, Mapping) or not value:
        return False
    if isinstance(value.get("properties"), Mapping) and value["properties"]:
        return True
    if all(isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in value.values()):
        return True
    return any(
        key not in _SCHEMAS_OF_RESULTS and _looks_like_parameters(one, depth + 1)
        for key, one in value.items()
        if isinstance(one, (Mapping, list))
    )


def is_schema(parameters: Mapping[str, Any]) -> bool:
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
            declared = _type_or_description(declared)
        if not isinstance(declared, Mapping):
            raise RowError("tool_shape", f"{tool:.60}.{name} is declared as {type(declared).__name__}")
        if declared and not any(key in UNDERSTOOD for key in declared):
            raise RowError("tool_shape", f"{tool:.60}.{name} is declared by keys that are not read")
        kind = declared.get("type")
        optional = type_schema(kind)[1] if isinstance(kind, str) else False
        if isinstance(declared.get("required"), bool):
            optional = optional or not declared["required"]
        optional = optional or declared.get("optional") is True
        schema = properties[str(name)] = json_schema(declared, notes)
        if not (optional or "default" in schema):
            required.append(str(name))
    return {"properties": properties, "required": required}


def _type_or_description(text: str) -> dict[str, str]:
    """What a text that is all there is of a parameter says: its type, its description, or both.

    `"list of strings, optional"` is a type, `"number of guests"` a description, `"string: the name"` both.
    """
    if len(text) > _LONG_TYPE:
        return {"description": text}
    if len(text.split()) < _FEW_WORDS or _ONLY_TYPE.match(text):
        return {"type": text}
    if _TYPE_BEFORE.match(text) and type_schema(text)[0]:
        return {"type": text, "description": text}
    return {"description": text}


def _names_itself(declared: Any) -> bool:
    return isinstance(declared, Mapping) and isinstance(declared.get("name"), str)
