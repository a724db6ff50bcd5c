"""Types as Python-like text, as in APIGen: `"str, optional"`, `"List[int]"`, `"Union[int, str]"`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

Schema = dict[str, Any]


_NAMES: dict[str, str | None] = {
    **dict.fromkeys(("str", "string", "text", "char", "date", "datetime", "time", "bytes", "uuid"), "string"),
    **dict.fromkeys(("int", "integer", "long", "short", "byte", "bigint", "smallint", "uint"), "integer"),
    **dict.fromkeys((f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)), "integer"),
    **dict.fromkeys(("float", "number", "double", "decimal", "numeric"), "number"),
    **dict.fromkeys(("float16", "float32", "float64"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(
        ("list", "array", "sequence", "iterable", "tuple", "set", "frozenset", "arraylist"), "array"
    ),
    **dict.fromkeys(("dict", "object", "mapping", "hashmap", "map"), "object"),
    **dict.fromkeys(("none", "null", "nonetype"), "null"),
    **dict.fromkeys(("any", "", "unknown"), None),
}
_CONSTANTS = {"True": True, "False": False, "None": None}
_OPTIONAL = re.compile(
    r"[,\s]*\(?\boptional\b\)?[\s.]*$|^\s*optional\b\s*[,:]?\s*(?![\s,:\[])", re.IGNORECASE
)
_DEFAULT = re.compile(
    r"[\s,;(]default(?:s|ed)?\b(?:\s+(?:value|is|of|to)\b)*\s*[:=]?(.*)", re.IGNORECASE | re.DOTALL
)
_ASSIGNED = re.compile(r"([\w.]+(?:\[[^=]*\])?)\s?=(.*)", re.DOTALL)
_CLASS = re.compile(r"<(?:class|type) '([\w.]+)'>")
_TOKEN = re.compile(r"\s*([\[\],|]|\.\.\.|'[^']*'|\"[^\"]*\"|[^\[\],|\s'\"]+(?:\.[A-Za-z_]+)?)")
_LONGEST = 4_000  # characters: a longer text is not a type
_DEEPEST = 12


def _read(declared: str) -> tuple[tuple[str, ...], bool, str | None]:
    """The type's tokens, whether it says that the parameter is optional, and the default that it states."""
    text = declared.strip()
    if python := _CLASS.fullmatch(text):
        text = python.group(1)
    default = None
    if (found := _DEFAULT.search(text)) and _closed(text[: found.start()]):
        text, default = text[: found.start()], found.group(1)
    elif assigned := _ASSIGNED.fullmatch(text):
        text, default = assigned.groups()
    stripped = _OPTIONAL.sub("", text)
    tokens = tuple(match.group(1) for match in _TOKEN.finditer(stripped))
    named = bool(tokens) and tokens[0].split(".")[-1].lower() == "optional"
    return tokens, default is not None or stripped != text or named, default


def _closed(text: str) -> bool:
    """Whether what follows stands outside all brackets and quotes."""
    return text.count("[") == text.count("]") and not (text.count("'") % 2 or text.count('"') % 2)


def _stated(text: str, schema: Schema) -> Schema:
    """`{"default": value}` for a default written as text; empty if it is not a value of the type."""
    text = text.strip().rstrip(".")
    if text.endswith(")") and "(" not in text:
        text = text[:-1].rstrip()
    value: Any = text
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "null": "None"}.get(text, text))
        json.dumps(value, allow_nan=False)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        value = text
    if not isinstance(value, str) and value is not None and schema.get("type") == "string":
        value = text
    return {"default": value} if text and (value is None or has_type(value, schema)) else {}


def type_schema(declared: str) -> tuple[Schema, bool]:
    """The schema of a type written as text; the same object each time, so it must not be changed.

    Args:
        declared: For instance `"List[int], optional"`, `"dict"` or `"integer"`.

    Returns:
        The schema (empty for "anything", and for a name that is not a type; with a `default` that the text
        states), and whether the text says that the parameter is optional.
    """
    return ({}, False) if len(declared) > _LONGEST else _type_schema(declared)


@lru_cache(maxsize=4096)
def _type_schema(declared: str) -> tuple[Schema, bool]:
    tokens, optional, default = _read(declared)
    try:
        schema = _union(iter([*tokens, ""]), 0)[0]
    except RecursionError:
        schema = {}
    return (schema if default is None else {**schema, **_stated(default, schema)}), optional


def _union(tokens: Iterator[str], depth: int) -> tuple[Schema, str]:
    """One type up to `,` or `]` or the end, and the token that ended it."""
    members: list[Schema] = []
    while True:
        member, after = _member(tokens, depth)
        members.append(member)
        if after != "|":
            return any_of(members), after


def _member(tokens: Iterator[str], depth: int) -> tuple[Schema, str]:
    word = next(tokens, "")
    if word in ("", "]", ",", "|"):
        return {}, word
    if word == "[":  # a bare list of types, as in Callable[[int], str]
        _, after = _arguments(tokens, depth + 1)
        return {}, after
    name = word.strip("'\"").split(".")[-1].lower()
    after = next(tokens, "")
    arguments: list[Schema] | None = None
    literals: list[Any] = []
    if after == "[":
        if depth > _DEEPEST:
            raise RecursionError
        if name == "literal":
            literals, after = _literals(tokens)
        else:
            arguments, after = _arguments(tokens, depth + 1)
    schema = _schema(name, arguments, literals)
    if arguments == [{}] and (
        name == "object" or schema.get("type") in ("string", "integer", "number", "boolean")
    ):
        schema = {"type": "array", "items": schema}  # as in "string[]"
    while after == "[":
        _, after = _arguments(tokens, depth + 1)
        schema = {"type": "array", "items": schema}
    while after not in ("", "]", ",", "|"):  # words that belong to no type, as in "list of strings"
        if after.lower() == "or":
            return schema, "|"
        after = next(tokens, "")
    return schema, after


def _arguments(tokens: Iterator[str], depth: int) -> tuple[list[Schema], str]:
    found = []
    while True:
        member, after = _union(tokens, depth)
        found.append(member)
        if after != ",":
            return found, next(tokens, "") if after == "]" else after


def _literals(tokens: Iterator[str]) -> tuple[list[Any], str]:
    """The values between the brackets; none if one of them is not understood, since all must be allowed."""
    values: list[Any] = []
    understood = True
    for token in tokens:
        if token in ("]", ""):
            break
        if token[0] in "'\"":
            values.append(token[1:-1])
        elif re.fullmatch(r"[+-]?\d{1,18}", token):
            values.append(int(token))
        elif re.fullmatch(r"[+-]?\d{1,18}\.\d{1,18}", token):
            values.append(float(token))
        elif token in _CONSTANTS:
            values.append(_CONSTANTS[token])
        else:
            understood = understood and token == ","
    return values if understood else [], next(tokens, "")


def _schema(name: str, arguments: list[Schema] | None, literals: list[Any]) -> Schema:
    if name == "literal":
        return {"enum": literals} if literals else {}
    if name == "optional":
        return arguments[0] if arguments else {}
    if name == "union":
        return any_of(arguments or [{}])
    kind = _NAMES.get(name)
    if kind is None:
        return {}
    schema: Schema = {"type": kind}
    if kind == "array" and arguments:
        items = any_of(arguments)
        if items:
            schema["items"] = items
    if kind == "object" and arguments and len(arguments) == 2 and arguments[1]:
        schema["additionalProperties"] = arguments[1]
    return schema


def any_of(schemas: list[Schema]) -> Schema:
    """The schema that holds where one of these does."""
    distinct: list[Schema] = []
    for schema in schemas:
        if not schema:
            return {}
        if schema not in distinct:
            distinct.append(schema)
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


_HOLDS = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}


def has_type(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether `value` is of the schema's own `type` (not looking inside; `anyOf` counts as any)."""
    kind = schema.get("type")
    return kind not in _HOLDS or _HOLDS[kind](value)
