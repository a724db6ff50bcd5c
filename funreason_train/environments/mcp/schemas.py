"""The input schemas of servers as the one dialect that this project reads (pure).

Servers write draft 4, 6, 7, 2019-09 and 2020-12, OpenAPI's words, and things that are in no draft. What
cannot be understood allows anything: a wrong call is then an error that the server answers with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...calls.schema import TYPE_NAMES
from ...plain import is_number

_DEEPEST: Final = 12  # levels of a schema that are followed; deeper ones allow anything
_SAME: Final = 2  # how often a reference may stand inside itself
_MOST: Final = 4000  # parts of one schema, references written out
_DROPPED: Final = frozenset(
    {"$schema", "$id", "id", "$defs", "definitions", "$anchor", "$comment", "$ref", "$dynamicRef", "nullable"}
)
_UNIONS: Final = ("anyOf", "oneOf")


def parameters_of(schema: Any) -> dict[str, Any]:
    """A tool's input schema as an object of parameters, without references.

    Args:
        schema: Whatever the server sent.

    Returns:
        `{"type": "object", "properties": {…}, …}`. Every name of `required` has a property, since what is
        called without it fails.
    """
    root = schema if isinstance(schema, Mapping) else {}
    found = _Reader(root).read(root)
    if isinstance(found.get("items"), dict) or found.get("type") not in (None, "object", ["object"]):
        found = {key: found[key] for key in ("description",) if key in found}
    properties = found.pop("properties", {})
    required = [name for name in found.pop("required", []) if isinstance(name, str)]
    named = {**properties, **{name: {} for name in required if name not in properties}}
    if not properties and (branches := [one for key in _UNIONS for one in found.get(key, ())]):
        # Each alternative names its own; what all of them need is needed.
        for branch in branches:
            for name, part in branch.get("properties", {}).items():
                named.setdefault(name, part)
        common = set.intersection(*(set(branch.get("required", ())) for branch in branches))
        required += [name for name in named if name in common and name not in required]
    whole = {"type": "object", "properties": named}
    return {**found, **whole, **({"required": required} if required else {})}


class _Reader:
    """Writes out the references of one schema.

    Args:
        root: The whole schema, which references point into.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._parts = root, 0
        self._anchors = {name: part for part in _walk(root) for name in _names(part)}

    def read(self, schema: Any, depth: int = 0, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """One part of it."""
        self._parts += 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._parts > _MOST:
            return {}
        target = schema.get("$ref", schema.get("$dynamicRef"))
        if isinstance(target, str):
            rest = {key: value for key, value in schema.items() if key not in ("$ref", "$dynamicRef")}
            if within.count(target) >= _SAME:
                return self.read(rest, depth + 1, within)
            meant = self.read(self._meant(target), depth + 1, (*within, target))
            return {**meant, **self.read(rest, depth + 1, within)}
        found = {str(key): value for key, value in schema.items() if key not in _DROPPED}
        self._merge_all(found, depth, within)
        self._read_parts(found, depth, within)
        _plain_type(found, bool(schema.get("nullable")))
        _plain_bounds(found)
        return found

    def _meant(self, target: str) -> Any:
        """What a reference points to inside this schema; nothing for one that leads elsewhere."""
        if target in self._anchors:
            return self._anchors[target]
        base, _, pointer = target.partition("#")
        part: Any = self._anchors.get(base, None) if base else self._root
        for name in filter(None, pointer.split("/")):
            name = name.replace("~1", "/").replace("~0", "~")
            if isinstance(part, Mapping):
                part = part.get(name)
            elif isinstance(part, list) and name.isdigit() and int(name) < len(part):
                part = part[int(name)]
            else:
                return None
        return part

    def _merge_all(self, found: dict[str, Any], depth: int, within: tuple[str, ...]) -> None:
        """`allOf` as one: all properties, everything that is required."""
        parts = found.pop("allOf", None)
        for part in parts if isinstance(parts, list) else ():
            read = self.read(part, depth + 1, within)
            for key, value in read.items():
                if key == "properties" and isinstance(found.get(key, {}), Mapping):
                    found[key] = {**value, **found.get(key, {})}
                elif key == "required" and isinstance(found.get(key, []), list):
                    found[key] = [*found.get(key, []), *value]
                else:
                    found.setdefault(key, value)

    def _read_parts(self, found: dict[str, Any], depth: int, within: tuple[str, ...]) -> None:
        required = found.pop("required", None)
        needed = [one for one in required if isinstance(one, str)] if isinstance(required, list) else []
        if "properties" in found:
            properties = found["properties"] if isinstance(found["properties"], Mapping) else {}
            found["properties"] = {
                str(name): self.read(part, depth + 1, within) for name, part in properties.items()
            }
            # Draft 3 says it inside each property.
            needed += [
                str(name)
                for name, part in properties.items()
                if isinstance(part, Mapping) and part.get("required") is True
            ]
        if needed:
            found["required"] = list(dict.fromkeys(needed))
        for key in _UNIONS:
            if key in found:
                branches = found.pop(key)
                if isinstance(branches, list) and branches:
                    found[key] = [self.read(one, depth + 1, within) for one in branches]
        listed = found.pop("prefixItems", None) or found.get("items")
        if isinstance(listed, list):  # a tuple; only the first kind of item is kept
            found["items"] = self.read(listed[0], depth + 1, within) if listed else {}
        elif "items" in found:
            found["items"] = self.read(found["items"], depth + 1, within)
        if isinstance(found.get("additionalProperties"), Mapping):
            found["additionalProperties"] = self.read(found["additionalProperties"], depth + 1, within)
        if "const" in found:
            found["enum"] = [found.pop("const")]
        if "enum" in found and not (isinstance(found["enum"], list) and found["enum"]):
            del found["enum"]


def _plain_type(found: dict[str, Any], nullable: bool) -> None:
    """`type` as a known name or a list of them; left out where it says nothing."""
    stated = found.pop("type", None)
    kinds = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    known = list(dict.fromkeys(TYPE_NAMES[one] for one in map(str, kinds) if one in TYPE_NAMES))
    if not known and found.get("properties"):
        known = ["object"]
    if not known and "items" in found:
        known = ["array"]
    if nullable and known and "null" not in known:
        known.append("null")
    if known:
        found["type"] = known[0] if len(known) == 1 else known


def _plain_bounds(found: dict[str, Any]) -> None:
    """Bounds as numbers; draft 4 says with `true` that the bound itself is excluded."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if found.get(exclusive) is True and is_number(found.get(bound)):
            found[exclusive] = found.pop(bound)
        for key in (bound, exclusive):
            if key in found and not is_number(found[key]):
                del found[key]
    for key in ("minItems", "maxItems", "minLength", "maxLength"):
        if key in found and not (isinstance(found[key], int) and 0 <= found[key] <= 10_000):
            del found[key]
    if not isinstance(found.get("description", ""), str):
        del found["description"]


def _walk(schema: Any, depth: int = 0) -> list[Mapping[str, Any]]:
    """Every object of a schema, to find the names of its parts."""
    if depth > _DEEPEST:
        return []
    if isinstance(schema, Mapping):
        return [schema, *(one for part in schema.values() for one in _walk(part, depth + 1))]
    if isinstance(schema, list):
        return [one for part in schema for one in _walk(part, depth + 1)]
    return []


def _names(part: Mapping[str, Any]) -> list[str]:
    found = [part[key] for key in ("$id", "id") if isinstance(part.get(key), str)]
    anchors = (part.get(key) for key in ("$anchor", "$dynamicAnchor"))
    return [*found, *(f"#{one}" for one in anchors if isinstance(one, str))]
