"""Python annotations as JSON schema, and arguments as what the annotations say."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from ..calls.schema import type_of

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Examples|Note|Notes):\s*$")
_ENTRY = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True)
class Between:
    """Bounds of a number, as in `Annotated[int, Between(1, 99)]`; both are allowed values.

    Attributes:
        minimum: The least value, or None.
        maximum: The largest value, or None.
    """

    minimum: float | None = None
    maximum: float | None = None

    def schema(self) -> dict[str, Any]:
        """The bounds in JSON schema's words."""
        found = {"minimum": self.minimum, "maximum": self.maximum}
        return {key: value for key, value in found.items() if value is not None}


#: What a parameter without annotation is, by its default; a list may hold anything.
_PLAIN: dict[type, Any] = {str: str, bool: bool, int: int, float: float, list: list, dict: dict}


def type_schema(hint: Any) -> dict[str, Any]:
    """The JSON schema of an annotation: scalars, lists, dicts, TypedDicts, dataclasses, Optional, Union,
    Literal, and `Annotated` with `Between` or a description.

    Raises:
        TypeError: JSON has no such type.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if isinstance(hint, type) and hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if origin is Annotated:
        schema = type_schema(arguments[0])
        for note in arguments[1:]:
            schema |= note.schema() if isinstance(note, Between) else {"description": str(note)}
        return schema
    if origin is Literal:
        names = sorted({type_of(value) for value in arguments})
        return {"type": names[0] if len(names) == 1 else names, "enum": list(arguments)}
    if origin is Union or origin is types.UnionType:
        return _union([type_schema(one) for one in arguments])
    if hint is list or origin is list:
        return {"type": "array"} | ({"items": type_schema(arguments[0])} if arguments else {})
    if hint is dict or origin is dict:
        return {"type": "object"} | ({"additionalProperties": type_schema(arguments[1])} if arguments else {})
    if is_typeddict(hint) or dataclasses.is_dataclass(hint):
        return _record_schema(hint)
    raise TypeError(f"{getattr(hint, '__name__', hint)} is not a type that JSON has")


def _union(branches: list[dict[str, Any]]) -> dict[str, Any]:
    """One schema for several: a list of types where that says it all, else `anyOf`."""
    values = [branch for branch in branches if branch.get("type") != "null"]
    if len(values) == len(branches) or len(values) > 1 or not isinstance(values[0].get("type"), str):
        if all(branch.keys() == {"type"} for branch in branches):
            return {"type": [branch["type"] for branch in branches]}
        return {"anyOf": branches}
    (schema,) = values
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def _record_schema(kind: Any) -> dict[str, Any]:
    """The schema of a TypedDict or a dataclass; its docstring's Attributes describe the keys."""
    hints = typing.get_type_hints(kind, include_extras=True)
    defaults = _defaults(kind)
    told = sections(_own_doc(kind)).get("Attributes", {})
    properties = {name: _described(type_schema(hint), told.get(name)) for name, hint in hints.items()}
    for name, default in defaults.items():
        properties[name]["default"] = _plain_default(default)
    required = getattr(kind, "__required_keys__", hints.keys() - defaults.keys())
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in hints if name in required],
    }


def _own_doc(kind: Any) -> str:
    text = inspect.getdoc(kind) or ""
    return "" if text.startswith(f"{kind.__name__}(") else text  # what dataclass writes where there is none


def _defaults(kind: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(kind):
        return {}
    found = {}
    for one in dataclasses.fields(kind):
        if one.default is not dataclasses.MISSING:
            found[one.name] = one.default
        elif one.default_factory is not dataclasses.MISSING:
            found[one.name] = one.default_factory()
    return found


def _plain_default(value: Any) -> Any:
    """A default as the schema shows it.

    Raises:
        TypeError: JSON has no such value.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        raise TypeError(f"its default {value!r} is not a value that JSON has") from None


def _described(schema: dict[str, Any], text: str | None) -> dict[str, Any]:
    return {**schema, "description": text} if text else schema


def parameters_schema(function: Callable[..., Any], strict: bool = True) -> dict[str, Any]:
    """The JSON schema of a function's parameters: its annotations, defaults and the docstring's Args.

    Args:
        function: Any.
        strict: Whether every parameter must have an annotation and a name to be given by. Otherwise one
            without has its default's type, or any, and `*args` and `**kwargs` are nobody's business.

    Raises:
        TypeError: A parameter has no annotation, or one that JSON has no type for.
    """
    hints = hints_of(function)
    told = sections(inspect.getdoc(function) or "").get("Args", {})
    properties, required = {}, []
    for parameter in _parameters(function, strict):
        if parameter.name not in hints and strict:
            raise TypeError(f"its parameter {parameter.name} has no type annotation")
        hint = hints.get(parameter.name, _PLAIN.get(type(parameter.default), Any))
        schema = _described(type_schema(hint), told.get(parameter.name))
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        else:
            schema["default"] = _plain_default(parameter.default)
        properties[parameter.name] = schema
    return {"type": "object", "properties": properties, "required": required}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's annotations, resolved.

    Raises:
        TypeError: One of them cannot be resolved.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"an annotation cannot be resolved ({error})") from None


def _parameters(function: Callable[..., Any], strict: bool) -> list[inspect.Parameter]:
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    if not strict:
        found = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    for parameter in found:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"its parameter {parameter.name} cannot be given by name")
    return found


def summary(doc: str) -> str:
    """A docstring up to its first section."""
    lines = []
    for line in doc.splitlines():
        if _SECTION.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def sections(doc: str) -> dict[str, dict[str, str]]:
    """The entries of a Google-style docstring's sections, each on one line; text without a name is at ""."""
    found: dict[str, dict[str, str]] = {}
    name = entry = ""
    indent = 0
    for line in doc.splitlines():
        if section := _SECTION.match(line):
            name, entry, indent = section[1], "", 0
            found[name] = {}
        elif name and line.strip():
            depth = len(line) - len(line.lstrip())
            indent = indent or depth
            if depth == 0:
                name = ""
            elif depth == indent and name != "Returns" and (match := _ENTRY.match(line.strip())):
                entry = match[1]
                found[name][entry] = match[2]
            else:
                found[name][entry] = f"{found[name].get(entry, '')} {line.strip()}".strip()
    return found


def convert(hint: Any, value: Any) -> Any:
    """A checked JSON value as its annotation has it: floats are floats, dataclasses are instances.

    What comes back shares nothing with `value`, which a tool may therefore keep.
    """
    if hint is str or hint is int or hint is bool:  # of a checked value nothing is to be done
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return convert(arguments[0], value)
    if hint is float and type(value) is int:
        return float(value)
    if origin is Union or origin is types.UnionType:
        *others, last = [one for one in arguments if _fits(one, value)] or [Any]
        for one in others:
            with contextlib.suppress(TypeError):  # a dataclass that has other fields
                return convert(one, value)
        return convert(last, value)
    if isinstance(value, list) and arguments and origin is list:
        return [convert(arguments[0], item) for item in value]
    if isinstance(value, Mapping):
        if origin is dict:
            return {key: convert(arguments[1], item) for key, item in value.items()}
        if is_typeddict(hint) or dataclasses.is_dataclass(hint):
            hints = _record_hints(hint)
            made = {key: convert(hints.get(key, Any), item) for key, item in value.items()}
            return made if is_typeddict(hint) else typing.cast(Callable[..., Any], hint)(**made)
    return copy.deepcopy(value) if isinstance(value, (list, Mapping)) else value


@cache
def _record_hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _fits(hint: Any, value: Any) -> bool:
    names, kind = _type_names(hint), type_of(value)
    return not names or kind in names or (kind == "integer" and "number" in names)


@cache
def _type_names(hint: Any) -> frozenset[str]:
    """The JSON types that an annotation allows; empty for any."""
    stated = type_schema(hint).get("type", ())
    return frozenset([stated] if isinstance(stated, str) else stated)


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
