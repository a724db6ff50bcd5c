"""The types of a tool's arguments: JSON schema, compiled once into the little that comparing calls needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from ..plain import once
from .types import Call

MISSING: Final = object()
"""The default of a parameter that states none (None is a default that can be stated)."""

_MAX_DEPTH = 32
_NAMES = ("string", "integer", "number", "boolean", "array", "object", "null")
TYPE_NAMES = {name: name for name in _NAMES} | {
    **{"str": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean"},
    **{"list": "array", "tuple": "array", "dict": "object", "none": "null"},
}
"""Names of types, JSON schema's own and those of Python-like dialects, to JSON schema's."""


@dataclass(frozen=True)
class Schema:
    """What one value may be; unions are merged, so that walking a value takes time linear in its size.

    Attributes:
        types: JSON schema type names; None when any type will do.
        enum: The values allowed, or None for all.
        items: Of an array's elements.
        properties: Of an object's keys.
        required: The keys that an object must have.
        extra: Whether an object may have keys beyond `properties`: unless stated, only if it names none.
        others: Of the values under such keys; None if nothing is said of them.
        alternatives: Of an object, one of which must hold; `properties` has the keys of them all.
        default: What an omitted value stands for; `MISSING` if not stated, or if its own schema forbids it (a
            boolean's "False"): such a default says nothing certain.
    """

    types: frozenset[str] | None = None
    enum: tuple[Any, ...] | None = None
    items: Schema | None = None
    properties: Mapping[str, Schema] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    extra: bool = True
    others: Schema | None = None
    alternatives: tuple[Schema, ...] = ()
    default: Any = MISSING

    @cached_property
    def is_number(self) -> bool:
        """Whether 1 and 1.0 are the same here."""
        return self.types is not None and "number" in self.types


ANY = Schema()

# Most arguments state a type and nothing else that compiling them looks at.
_PLAIN_KEYS = frozenset({"type", "description", "title"})
_PLAIN = {spelling: Schema(types=frozenset({name})) for spelling, name in TYPE_NAMES.items()}


def compile_schema(schema: Any, depth: int = 0) -> Schema:
    """Compiles one JSON schema; whatever it does not understand (`$ref`, unknown types) allows anything."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return ANY
    if schema.keys() <= _PLAIN_KEYS:
        stated = schema.get("type")
        if isinstance(stated, str) and stated in _PLAIN:
            return _PLAIN[stated]
    branches = [
        compile_schema(branch, depth + 1)
        for key in ("anyOf", "oneOf")
        if isinstance(schema.get(key), list)
        for branch in schema[key]
    ]
    if not branches:
        return _compile_plain(schema, depth)
    if "type" not in schema and "properties" not in schema:
        return _union(branches, schema)
    own = _compile_plain(schema, depth)
    if any(branch.properties or branch.required for branch in branches):
        return _with_alternatives(own, branches, schema)
    return own  # beside a type of its own, a union only narrows what is stated there


def _with_alternatives(own: Schema, branches: list[Schema], schema: Mapping[str, Any]) -> Schema:
    """An object that has what is stated for it, and what one of the branches states."""
    by_name: dict[str, list[Schema]] = {name: [part] for name, part in own.properties.items()}
    for branch in branches:
        for name, part in branch.properties.items():
            if name not in own.properties:
                by_name.setdefault(name, []).append(part)
    named = {name: parts[0] if len(parts) == 1 else _union(parts, {}) for name, parts in by_name.items()}
    extra = schema.get("additionalProperties", not named) is not False or own.others is not None
    whole = replace(own, properties=named, extra=extra, default=MISSING)
    alternatives = tuple(
        replace(
            whole,
            properties={**named, **branch.properties, **own.properties},
            required=own.required | branch.required,
        )
        for branch in branches
    )
    return _defaulted(schema, replace(whole, alternatives=alternatives))


def _compile_plain(schema: Mapping[str, Any], depth: int) -> Schema:
    types = _type_names(schema)
    properties = schema.get("properties")
    named = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    enum = schema.get("enum")
    # Patterns are not matched: a regular expression out of a data set could take any time.
    patterns = schema.get("patternProperties")
    open_keys = list(patterns.values()) if isinstance(patterns, Mapping) else []
    if isinstance(schema.get("additionalProperties"), Mapping):
        open_keys.append(schema["additionalProperties"])
    elif open_keys and schema.get("additionalProperties") is not False:
        open_keys.append({})
    values = [compile_schema(one, depth + 1) for one in open_keys]
    return _with_default(
        schema,
        types=types,
        enum=tuple(enum) if isinstance(enum, list) else None,
        items=compile_schema(schema["items"], depth + 1) if "items" in schema else None,
        properties={str(name): compile_schema(value, depth + 1) for name, value in named.items()},
        required=frozenset(str(name) for name in required) if isinstance(required, list) else frozenset(),
        extra=schema.get("additionalProperties", not named) is not False or bool(patterns),
        others=None if not values else values[0] if len(values) == 1 else _union(values, {}),
    )


def _with_default(schema: Mapping[str, Any], **parts: Any) -> Schema:
    """A schema with its stated default; null is one for any type, as in `def f(limit: int = None)`."""
    return _defaulted(schema, Schema(**parts))


def _defaulted(schema: Mapping[str, Any], compiled: Schema) -> Schema:
    default = schema.get("default", MISSING)
    if default is MISSING or (default is not None and any(_problems(compiled, default, ""))):
        return compiled
    return replace(compiled, default=default)


def _type_names(schema: Mapping[str, Any]) -> frozenset[str] | None:
    stated = schema.get("type")
    names = stated if isinstance(stated, list) else [stated]
    known = [TYPE_NAMES.get(name.lower()) if isinstance(name, str) else None for name in names]
    if schema.get("nullable") is True:
        known.append("null")
    return None if None in known else frozenset(name for name in known if name)


def _union(branches: list[Schema], schema: Mapping[str, Any]) -> Schema:
    types: frozenset[str] | None = frozenset()
    for branch in branches:
        types = None if types is None or branch.types is None else types | branch.types
    enums = [branch.enum for branch in branches if branch.enum is not None]
    arrays = [branch.items for branch in branches if branch.items is not None]
    objects = [branch for branch in branches if branch.properties or branch.others]
    return _with_default(
        schema,
        types=types,
        enum=tuple(value for enum in enums for value in enum) if len(enums) == len(branches) else None,
        items=arrays[0] if len(arrays) == 1 else None,
        properties=objects[0].properties if len(objects) == 1 else {},
        required=objects[0].required if len(objects) == 1 else frozenset(),
        extra=objects[0].extra if len(objects) == 1 else True,
        others=objects[0].others if len(objects) == 1 else None,
    )


def index_tools(tools: Iterable[Mapping[str, Any]]) -> dict[str, Schema]:
    """Tool name to the compiled schema of its parameters; a later tool of the same name does not count.

    A tool is `{"name", "description", "parameters": JSON schema of type object}`; one without parameters
    takes none.
    """
    index: dict[str, Schema] = {}
    for tool in tools:
        index.setdefault(str(tool["name"]), _compile_parameters(tool.get("parameters") or {}))
    return index


@once(8192)
def _compile_parameters(parameters: Any) -> Schema:
    """A tool's parameters: an object that takes what it names and, unless it says otherwise, nothing else."""
    closed = {"additionalProperties": False, **parameters} if isinstance(parameters, Mapping) else {}
    return compile_schema(closed)


def check_call(call: Call, tools: Iterable[Mapping[str, Any]] | Mapping[str, Schema]) -> list[str]:
    """Every way in which a call contradicts the offered tools; empty for a legal call.

    Args:
        call: The call.
        tools: The tools as in a trajectory, or their `index_tools`, which saves compiling them again.

    Returns:
        Sentences that begin with a slug: `unknown_tool`, `unknown_argument`, `missing_argument`, `wrong_type`
        or `not_in_enum`, a colon, and the place.
    """
    index = tools if isinstance(tools, Mapping) else index_tools(tools)
    schema = index.get(call.name)
    if schema is None:
        return [f"unknown_tool: {call.name}"]
    return list(_object_problems(schema, call.arguments, call.name))


_KINDS: Mapping[type, str] = {
    **{type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"},
    **{dict: "object", list: "array"},
}


def type_of(value: Any) -> str:
    """The JSON schema type of a value: `integer` for int, `number` for float, `boolean` for bool."""
    if (known := _KINDS.get(type(value))) is not None:
        return known
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _same(value: Any, other: Any) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _object_problems(schema: Schema, value: Mapping[str, Any], where: str) -> Iterable[str]:
    found = list(_key_problems(schema, value, where))
    if not found and schema.alternatives:
        found = min((list(_key_problems(one, value, where)) for one in schema.alternatives), key=len)
    return found


def _key_problems(schema: Schema, value: Mapping[str, Any], where: str) -> Iterable[str]:
    for name, item in value.items():
        if name in schema.properties:
            yield from _problems(schema.properties[name], item, f"{where}.{name}")
        elif not schema.extra:
            yield f"unknown_argument: {where}.{name}"
        elif schema.others is not None:
            yield from _problems(schema.others, item, f"{where}.{name}")
    for name in sorted(schema.required - value.keys()):
        yield f"missing_argument: {where}.{name}"


def _problems(schema: Schema, value: Any, where: str) -> Iterable[str]:
    kind = type_of(value)
    allowed = schema.types
    if allowed is not None and kind not in allowed and not (kind == "integer" and schema.is_number):
        yield f"wrong_type: {where} is {kind}, not {' or '.join(sorted(allowed))}"
        return
    if schema.enum is not None and not any(_same(value, allowed) for allowed in schema.enum):
        yield f"not_in_enum: {where}"
    if kind == "array" and schema.items is not None:
        for position, item in enumerate(value):
            yield from _problems(schema.items, item, f"{where}[{position}]")
    elif kind == "object":
        yield from _object_problems(schema, value, where)
