"""Three ways of declaring a parameter's type become one JSON schema.

- Python-like text, as in APIGen: see `type_text`;
- JSON schema, nested, with `enum`, `anyOf`, `items` and local `$ref`;
- BFCL's dialect of it: `"dict"`, `"float"`, `"tuple"`, `"any"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .type_text import Schema, any_of, has_type, type_schema

__all__ = ["DeclarationError", "Schema", "any_of", "has_type", "json_schema", "type_schema"]

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_RULES = ("format", "pattern", "multipleOf", "uniqueItems", "nullable")
_KEPT = ("description", "enum", "default", "examples", *_RULES, *_BOUNDS, *_LENGTHS)
#: Keys of a declaration that are read.
UNDERSTOOD = frozenset(
    (
        *(*_KEPT, "type", "const", "properties", "required", "optional", "items", "prefixItems"),
        *("additionalProperties", "patternProperties", "anyOf", "oneOf", "allOf", "$ref"),
        *("$defs", "definitions"),
    )
)
#: What a declaration of one plain value says; only others have parts to look for.
_SINGLE = frozenset((*_KEPT, "type", "const"))
_EMPTY: tuple[Any, ...] = (None, "", [], {}, ())
_PADDED = ("type", "description", "enum", "items", "properties", "anyOf")
_LARGEST = 20_000
_QUOTES = str.maketrans("", "", "\"'")


class DeclarationError(ValueError):
    """A parameter's declaration cannot be read."""


def json_schema(declared: Any, notes: dict[str, None] | None = None) -> Schema:
    """A parameter's declaration in any of the three ways as one JSON schema.

    Args:
        declared: A type as text, or a schema.
        notes: Receives, as keys, what of the declaration the schema does not say: the keys that are not
            understood, as `key:NAME`, and `simplified` where something was made "anything" or left out.

    Returns:
        A schema of `type`, `items`, `properties`, `required`, `additionalProperties`, `patternProperties`,
        `anyOf`, `enum`, bounds and other rules for one value, `description`, `examples` and `default`. Local
        references are written out; a reference to a schema that it stands in, or to another document, becomes
        "anything".

    Raises:
        DeclarationError: it is not a declaration of a type.
    """
    return _Reader(declared if isinstance(declared, Mapping) else {}, {} if notes is None else notes).read(
        declared
    )


class _Reader:
    """Reads one declaration; `root` is where its references are looked up."""

    def __init__(self, root: Mapping[str, Any], notes: dict[str, None]) -> None:
        self._root, self._open, self._nodes = root, [], 0  # type: tuple[Mapping[str, Any], list[str], int]
        self._notes = notes

    def read(self, declared: Any) -> Schema:
        if isinstance(declared, str):
            schema = type_schema(declared)[0]
            if not schema and declared.strip().split(".")[-1].lower() not in ("", "any", "unknown", "mixed"):
                self._simplified()  # a type that has no counterpart, or words that are not a type
            return schema
        if declared is None or isinstance(declared, bool):
            if declared is False:  # nothing is allowed
                self._simplified()
            return {}
        if not isinstance(declared, Mapping):
            raise DeclarationError(f"a type is declared as {type(declared).__name__}")
        self._nodes += 1
        if self._nodes > _LARGEST:
            raise DeclarationError(f"a schema of more than {_LARGEST} parts")
        if not declared.keys() <= UNDERSTOOD:
            self._notes |= {
                f"key:{key}": None
                for key in declared
                if key not in UNDERSTOOD and declared[key] not in _EMPTY
            }
        schema = self._plain(declared)
        stated = "default" in schema
        kind = self._kind(declared)
        schema.update({key: value for key, value in kind.items() if key != "default" or not stated})
        if declared.keys() <= _SINGLE:
            return schema
        union = self._union(declared)
        if "anyOf" in union:
            schema["anyOf"] = union.pop("anyOf")
        if items := self._items(declared):
            schema["items"] = items
        schema.update(self._object(declared))
        if union:  # of one alternative
            schema = self._both(union, schema)
        if isinstance(declared.get("$ref"), str):
            schema = self._both(self._reference(declared["$ref"]), schema)
        if isinstance(declared.get("allOf"), list):
            for one in declared["allOf"]:
                schema = self._both(self.read(one), schema)
        return schema

    def _plain(self, declared: Mapping[str, Any]) -> Schema:
        """What is kept as it stands."""
        schema: Schema = {key: declared[key] for key in _KEPT if key in declared}
        if any(_missing(value) for value in schema.values()):
            schema = {key: value for key, value in schema.items() if not _missing(value)}
        # A table puts nulls into all fields that an object lacks; elsewhere null is a default like others.
        if declared.get("default", 0) is None and not any(declared.get(key, "") is None for key in _PADDED):
            schema["default"] = None
        if declared.get("const") is not None:
            schema["enum"] = [declared["const"]]
        if not isinstance(schema.get("description", ""), str):
            schema["description"] = str(schema["description"])
        if not isinstance(schema.get("enum", []), list):
            del schema["enum"]
            self._simplified()
        return schema

    def _union(self, declared: Mapping[str, Any]) -> Schema:
        unions = [declared[key] for key in ("anyOf", "oneOf") if isinstance(declared.get(key), list)]
        unions = [one for one in unions if one]
        if len(unions) > 1:
            self._simplified()
        return dict(any_of([self.read(one) for one in unions[0]])) if unions else {}

    def _object(self, declared: Mapping[str, Any]) -> Schema:
        schema: Schema = {}
        if not isinstance(declared.get("properties") or {}, Mapping):
            raise DeclarationError(f"properties are a {type(declared['properties']).__name__}")
        properties = declared.get("properties")
        if isinstance(properties, Mapping):
            properties = {str(name): one for name, one in properties.items() if one is not None}
            schema["properties"] = {name: self.read(one) for name, one in properties.items()}
        required = self._required(declared, properties)
        if required or "properties" in schema:
            schema["required"] = required
        additional = declared.get("additionalProperties")
        if isinstance(additional, bool):
            schema["additionalProperties"] = additional
        elif isinstance(additional, (Mapping, str)) and additional:
            schema["additionalProperties"] = self.read(additional)
        elif isinstance(additional, Mapping):
            schema["additionalProperties"] = True
        patterns = declared.get("patternProperties")
        if isinstance(patterns, Mapping) and any(one is not None for one in patterns.values()):
            schema["patternProperties"] = {
                str(name): self.read(one) for name, one in patterns.items() if one is not None
            }
        return schema

    def _required(self, declared: Mapping[str, Any], properties: Mapping[str, Any] | None) -> list[str]:
        """The names in `required`, and the properties that say of themselves that they are."""
        listed = dict.fromkeys(self._listed(declared.get("required")))
        # An alternative that only says which of the properties it takes, or a declaration that is not one.
        if not isinstance(properties, Mapping):
            return list(listed)
        marked = [
            n for n, one in properties.items() if isinstance(one, Mapping) and one.get("required") is True
        ]
        elsewhere = [
            key for key in ("anyOf", "oneOf", "allOf", "$ref", "patternProperties") if declared.get(key)
        ]
        if elsewhere:
            return list(listed | dict.fromkeys(marked))
        if not listed.keys() <= properties.keys():
            self._simplified()
        return [name for name in (listed | dict.fromkeys(marked)) if name in properties]

    def _listed(self, required: Any) -> list[str]:
        """The names in `required`: a list, names with commas between them, or an object of truths."""
        if isinstance(required, str) and required.lstrip()[:1] == "[":
            required = required.strip().removeprefix("[").removesuffix("]").translate(_QUOTES)
        if isinstance(required, str):
            required = [one.strip() for one in required.split(",") if one.strip()]
        elif isinstance(required, Mapping):
            required = [name for name, one in required.items() if one is True]
        if not isinstance(required, (list, tuple)):
            return []  # what a parameter says of itself
        if not all(isinstance(name, str) for name in required):
            self._simplified()
        return [name for name in required if isinstance(name, str)]

    def _both(self, one: Schema, other: Schema) -> Schema:
        """The schema that holds where both do, as far as `allOf` is used to add to a type."""
        merged = {**one, **other}
        if "anyOf" in one and "anyOf" in other and one["anyOf"] != other["anyOf"]:
            self._simplified()
        if "properties" in one and "properties" in other:
            merged["properties"] = {**one["properties"], **other["properties"]}
        if "required" in one and "required" in other:
            merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
        return merged

    def _simplified(self) -> None:
        self._notes["simplified"] = None

    def _items(self, declared: Mapping[str, Any]) -> Schema:
        items = declared.get("items")
        several = items if isinstance(items, list) else declared.get("prefixItems")
        if isinstance(several, list) and several:
            return any_of([self.read(one) for one in several])
        return self.read(items) if isinstance(items, (Mapping, str)) else {}

    def _kind(self, declared: Mapping[str, Any]) -> Schema:
        kind = declared.get("type")
        if isinstance(kind, list):
            return any_of([self.read(one) for one in kind])
        if isinstance(kind, (str, Mapping)):
            return self.read(kind)
        return {"type": "object"} if declared.get("properties") is not None else {}

    def _reference(self, reference: str) -> Schema:
        found = None if reference in self._open else _resolve(reference, self._root)
        if found is None:
            self._simplified()
            return {}
        self._open.append(reference)
        schema = self.read(found)
        self._open.pop()
        return schema


def _missing(value: Any) -> bool:
    """Whether nothing stands there: null, or NaN, which is what tables make of it among numbers."""
    return value is None or value != value


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    if not reference.startswith("#"):
        return None
    node: Any = root
    for part in reference[1:].strip("/").split("/") if reference != "#" else ():
        if not isinstance(node, Mapping):
            return None
        node = node.get(part.replace("~1", "/").replace("~0", "~"))
    return node
