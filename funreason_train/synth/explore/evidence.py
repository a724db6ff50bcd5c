"""What a call's arguments, its answer and its error tell of each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .trace import Executed, leaves, pattern

_SHORTEST = 2  # characters of a text whose second appearance is no accident
_DIGITS = re.compile(r"[\w.:/-]*\d[\w.:/-]*")


def is_telling(value: Any) -> bool:
    """Whether meeting a value twice says that one came from the other."""
    if isinstance(value, str):
        return len(value) >= _SHORTEST
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > 9


def named_in_error(executed: Executed) -> set[str]:
    """The parameters whose values a failed call's message quotes: those are at fault, and not the others."""
    text = executed.result.text
    return {
        ".".join(str(part) for part in path if not isinstance(part, int))
        for path, value in leaves(executed.call.arguments)
        if is_telling(value) and str(value) in text
    }


def declared_fields(schema: Any) -> set[str]:
    """The names of the scalars that a schema of an answer describes."""
    found: set[str] = set()
    if isinstance(schema, Mapping):
        for name, part in schema.get("properties", {}).items():
            inner = declared_fields(part)
            found |= {f"{name}/{one}" for one in inner} or {name}
        if "items" in schema:
            found |= declared_fields(schema["items"])
    return found


def seen_fields(value: Any) -> set[str]:
    """The names of the scalars of an answer."""
    return {pattern(path) for path, _ in leaves(value)} if isinstance(value, (Mapping, list)) else set()


def without_values(text: str, arguments: Mapping[str, Any]) -> str:
    """An error message with `…` for the values of the call, and for whatever else holds a digit."""
    for _, value in leaves(arguments):
        if isinstance(value, str) and len(value) >= _SHORTEST:
            text = text.replace(value, "…")
    return _DIGITS.sub("…", text)[:160]
