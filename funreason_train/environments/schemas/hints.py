"""Python annotations as JSON schema."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import pathlib
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable, Hashable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from ...calls.schema import type_of
from ...plain import is_finite
from .docstrings import sections


@cache
def _spans() -> Any:
    """What reads and writes a span of time as ISO 8601 has it, `PT1H30M`; imported where one is needed."""
    from pydantic import TypeAdapter

    return TypeAdapter(datetime.timedelta)


_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
#: What JSON writes as something else -> its schema, and what makes it of that.
WRITTEN: dict[type, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    datetime.date: ({"type": "string", "format": "date"}, datetime.date.fromisoformat),
    datetime.datetime: ({"type": "string", "format": "date-time"}, datetime.datetime.fromisoformat),
    datetime.time: ({"type": "string", "format": "time"}, datetime.time.fromisoformat),
    decimal.Decimal: ({"type": "number"}, lambda value: decimal.Decimal(str(value))),
    uuid.UUID: ({"type": "string", "format": "uuid"}, uuid.UUID),
    pathlib.Path: ({"type": "string"}, pathlib.Path),
    datetime.timedelta: (
        {"type": "string", "format": "duration"},
        lambda value: _spans().validate_python(value),
    ),
}
ARRAYS: dict[Any, Callable[[Any], Any]] = {
    **dict.fromkeys((list, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection), list),
    **{tuple: tuple, set: set, frozenset: frozenset, abc.Set: set, abc.MutableSet: set},
}
OBJECTS = (dict, abc.Mapping, abc.MutableMapping)
#: What a record says of a key besides its type; `ReadOnly` is younger than the oldest Python served here.
OF_A_KEY = (typing.Required, typing.NotRequired, typing.Final, getattr(typing, "ReadOnly", typing.Required))
_WITHIN: ContextVar[tuple[Any, ...]] = ContextVar("within", default=())
"""The records whose schema is being written."""


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


#: What notes beside a type call a rule -> what JSON schema calls it.
_RULES = {
    **{"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"},
    **{"multiple_of": "multipleOf", "pattern": "pattern"},
}
_OF_TEXTS = {"min_length": "minLength", "max_length": "maxLength"}
_OF_ITEMS = {"min_length": "minItems", "max_length": "maxItems"}

#: What a parameter without annotation is, by its default; a list may hold anything.
_PLAIN: dict[type, Any] = {str: str, bool: bool, int: int, float: float, list: list, dict: dict}


def type_schema(hint: Any) -> dict[str, Any]:
    """The JSON schema of an annotation: scalars, enums, dates and their like, lists, tuples, sets, dicts,
    TypedDicts, dataclasses, named tuples, pydantic's models, Optional, Union, Literal, and `Annotated` with
    `Between`, annotated_types' and pydantic's bounds, lengths, multiples and patterns, or a description.

    Raises:
        TypeError: JSON has no such type.
    """
    if not isinstance(hint, Hashable):
        raise TypeError(f"{hint} is a {type(hint).__name__} and not a type")
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return {}
    if isinstance(hint, type) and hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if hint in WRITTEN:
        return dict(WRITTEN[hint][0])
    if isinstance(hint, enum.EnumMeta):
        return type_schema(Literal[tuple(members(hint))])
    if isinstance(hint, typing.NewType):
        return type_schema(hint.__supertype__)
    if origin in OF_A_KEY:
        return type_schema(arguments[0])
    if origin is Annotated:
        schema = type_schema(arguments[0])
        for note in arguments[1:]:
            schema |= _noted(note, _RULES | (_OF_ITEMS if "array" in schema.get("type", ()) else _OF_TEXTS))
        return schema
    if origin is Literal:
        names = sorted({type_of(value) for value in arguments})
        return {"type": names[0] if len(names) == 1 else names, "enum": list(arguments)}
    if origin is Union or origin is types.UnionType:
        return _union([type_schema(one) for one in arguments])
    if (origin or hint) in ARRAYS:
        return {"type": "array", **_items_schema(arguments)}
    if (origin or hint) in OBJECTS:
        return {"type": "object"} | ({"additionalProperties": type_schema(arguments[1])} if arguments else {})
    if callable(described := getattr(hint, "model_json_schema", None)):
        from ..mcp.schemas import parameters_of

        return parameters_of(described())
    if is_record(hint):
        return _record_schema(hint)
    raise TypeError(f"{getattr(hint, '__name__', hint)} is not a type that JSON has")


def _noted(note: Any, rules: Mapping[str, str]) -> dict[str, Any]:
    """What `Annotated` says besides the type: bounds, or a text; pydantic's `Field` and `Doc` hold one."""
    if isinstance(note, Between):
        return note.schema()
    held = (note, getattr(note, "description", None), getattr(note, "documentation", None))
    schema: dict[str, Any] = next(({"description": text} for text in held if isinstance(text, str)), {})
    for one in (note, *getattr(note, "metadata", ())):  # of annotated_types, which pydantic's `Field` makes
        for attribute, rule in rules.items():
            value = getattr(one, attribute, None)
            if isinstance(value, decimal.Decimal):
                value = float(value)
            if is_finite(value) or isinstance(value, str):
                schema[rule] = value
    return schema


def is_record(kind: Any) -> bool:
    """Whether an annotation is a TypedDict, a dataclass or a named tuple."""
    return is_typeddict(kind) or dataclasses.is_dataclass(kind) or hasattr(kind, "_field_defaults")


def members(kind: enum.EnumMeta) -> dict[Any, Any]:
    """What stands for each member of an enum -> the member: its value, or its name where JSON has no such."""
    members: list[Any] = list(kind)
    simple = all(isinstance(one.value, (str, int, float)) for one in members)
    return {(one.value if simple else one.name): one for one in members}


def _items_schema(arguments: tuple[Any, ...]) -> dict[str, Any]:
    """What is said of an array's elements; those of `tuple[int, str]` are two of either type."""
    if not arguments:
        return {}
    kinds = list(dict.fromkeys(one for one in arguments if one is not ...))
    items = type_schema(kinds[0]) if len(kinds) == 1 else _union([type_schema(one) for one in kinds])
    exactly = len(arguments) > 1 and ... not in arguments
    return {"items": items, **({"minItems": len(arguments), "maxItems": len(arguments)} if exactly else {})}


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
    """The schema of a record; its docstring tells of its keys, or attributes. Inside itself it is any."""
    if kind in (within := _WITHIN.get()):
        return {"type": "object"}
    hints = record_hints(kind)
    defaults = _defaults(kind)
    said = sections(_own_doc(kind))
    told = {**said.get("Args", {}), **said.get("Attributes", {})}
    outside = _WITHIN.set((*within, kind))
    try:
        properties = {name: _described(type_schema(hint), told.get(name)) for name, hint in hints.items()}
    finally:
        _WITHIN.reset(outside)
    for name, default in defaults.items():
        properties[name]["default"] = _plain_default(default)
    required = getattr(kind, "__required_keys__", hints.keys() - defaults.keys())
    origins = {name: get_origin(hint) for name, hint in hints.items()}  # unread where annotations are texts
    return {
        "type": "object",
        "properties": properties,
        "required": [
            name
            for name, origin in origins.items()
            if origin is typing.Required or (name in required and origin is not typing.NotRequired)
        ],
    }


def _own_doc(kind: Any) -> str:
    text = inspect.getdoc(kind) or ""
    return "" if text.startswith(f"{kind.__name__}(") else text  # what dataclass writes where there is none


def _defaults(kind: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(kind):
        return dict(getattr(kind, "_field_defaults", {}))
    found = {}
    for one in filter(lambda one: one.init, dataclasses.fields(kind)):
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
    elif callable(named := getattr(value, "_asdict", None)):
        value = named()
    try:
        return json.loads(json.dumps(value, default=written))
    except TypeError:
        raise TypeError(f"its default {value!r} is not a value that JSON has") from None


def written(value: Any) -> Any:
    """What stands for a value that JSON does not have; see `WRITTEN`.

    Raises:
        TypeError: Nothing does.
    """
    if isinstance(value, enum.Enum):
        for shown, one in members(type(value)).items():
            if one is value:
                return shown  # of flags, several at once are no member
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.timedelta):
        return _spans().dump_python(value, mode="json")
    if isinstance(value, tuple(WRITTEN)):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if callable(dumped := getattr(value, "model_dump", None)):
        return dumped(mode="json")
    raise TypeError(value)


def _described(schema: dict[str, Any], text: str | None) -> dict[str, Any]:
    return {**schema, "description": text} if text else schema


def parameters_schema(function: Callable[..., Any], strict: bool = True) -> dict[str, Any]:
    """The JSON schema of a function's parameters: its annotations, defaults and the docstring's Args.

    Args:
        function: Any.
        strict: Whether every parameter must have an annotation and a name to be given by. Otherwise one
            without has its default's type, or any, and one that is given by its place has its name all the
            same, see `called`; `*args`, `**kwargs` and what has a default that JSON does not have, or may be
            what JSON does not have, are nobody's business.

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
        try:
            schema = _described(type_schema(hint), told.get(parameter.name))
            if parameter.default is parameter.empty:
                required.append(parameter.name)
            else:
                schema["default"] = _plain_default(parameter.default)
        except TypeError as error:
            if parameter.default is not parameter.empty and not strict:
                continue
            raise TypeError(f"its parameter {parameter.name}: {error}") from None
        properties[parameter.name] = schema
    return {"type": "object", "properties": properties, "required": required}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's annotations, resolved; what it returns is left out where that cannot be resolved.

    Raises:
        TypeError: One of the others cannot be.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, SyntaxError) as error:
        if isinstance(function, type):
            raise TypeError(f"an annotation cannot be resolved ({error})") from None
    # Written as texts, they may name what stands in the method's own class, where nobody else looks.
    own = _types_within(getattr(function, "__self__", None))
    given = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    known = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        found = typing.get_type_hints(_annotated(given), known, own, include_extras=True)
    except (NameError, AttributeError, SyntaxError) as error:
        raise TypeError(f"an annotation cannot be resolved ({error})") from None
    with contextlib.suppress(NameError, AttributeError, SyntaxError):
        returned = {name: hint for name, hint in function.__annotations__.items() if name == "return"}
        found |= typing.get_type_hints(_annotated(returned), known, own, include_extras=True)
    return found


def _annotated(annotations: Mapping[str, Any]) -> Any:
    return types.SimpleNamespace(__annotations__=dict(annotations))


def _types_within(owner: Any) -> dict[str, Any]:
    """The classes that stand in a method's class, by name, and that class itself."""
    kind = owner if isinstance(owner, type) else type(owner)
    held = {name: one for base in reversed(kind.__mro__) for name, one in vars(base).items()}
    return {kind.__name__: kind} | {name: one for name, one in held.items() if isinstance(one, type)}


def _parameters(function: Callable[..., Any], strict: bool) -> list[inspect.Parameter]:
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    if not strict:
        found = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    for parameter in found:
        if strict and parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"its parameter {parameter.name} cannot be given by name")
    return found


@cache
def record_hints(kind: Any) -> dict[str, Any]:
    """The annotations of what a record is made with."""
    hints = hints_of(kind)
    if not dataclasses.is_dataclass(kind):
        return hints
    return {one.name: hints[one.name] for one in dataclasses.fields(kind) if one.init}
