"""What a call's arguments, its answer and its error tell of each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .trace import Executed, leaves, named_scalars, pattern
from .words import stem, telling_words, tokens

_NAMED = 0.5  # least share of a name's words that a message holds which speaks of it
_SHORTEST = 2  # characters of a text whose second appearance is no accident
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_LISTING = re.compile(r": \w+(?:, \w+)*(?=[\"'}.\]]*$)")  # `…: driver, passenger` at the end of a message
_DIGITS = re.compile(r"[\w.:/-]*\d[\w.:/-]*")


def is_telling(value: Any) -> bool:
    """Whether meeting a value twice says that one came from the other."""
    if isinstance(value, str):
        return len(value) >= _SHORTEST
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > 9


def named_in_error(executed: Executed) -> set[str]:
    """The parameters whose values a failed call's message quotes, or else those that it names.

    Those are at fault, and not the others: `Invalid access token` says nothing against the card's id.
    """
    text = executed.result.text
    held = named_scalars(executed.call.arguments)
    quoted = {place for place, value in held if is_telling(value) and str(value) in text}
    if quoted:
        return quoted
    words = tokens(text.replace(executed.call.name, " "))
    shares = {place: _share(set(telling_words(place)), set(words)) for place, _ in held}
    most = max(shares.values(), default=0.0)
    return {place for place, share in shares.items() if share == most} if most >= _NAMED else set()


def is_about(text: str, parameter: str, parameters: Iterable[str]) -> bool:
    """Whether a message may speak of a parameter: it names that one, or none of a tool's.

    Args:
        text: The message.
        parameter: Dotted path.
        parameters: Of the tool.
    """
    words = set(tokens(text))
    shares = {name: _share(set(telling_words(name)), words) for name in (*parameters, parameter)}
    return shares[parameter] == max(shares.values()) or max(shares.values()) < _NAMED


def named_tools(text: str, tools: Iterable[str]) -> list[str]:
    """The tools that a message seems to speak of: `Must press the brake fully` of `pressBrakePedal`."""
    words = {stem(word) for word in tokens(text)}
    shares = {name: _share({stem(word) for word in tokens(name)}, words) for name in tools}
    most = max(shares.values(), default=0.0)
    return [name for name, share in shares.items() if share == most] if most >= _NAMED else []


def _share(mine: set[str], words: set[str]) -> float:
    return len(mine & words) / len(mine) if mine else 0.0


def numbers_in(text: str) -> set[str]:
    """The numbers that a message quotes."""
    return set(_NUMBER.findall(text))


def is_number(schema: Mapping[str, Any]) -> bool:
    """Whether a schema is one of a number."""
    return schema.get("type") in ("integer", "number")


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
    """An error message with `…` for the values of the call, and for whatever else holds a digit; never empty,
    since no message at all stands for success."""
    for _, value in leaves(arguments):
        if isinstance(value, str) and len(value) >= _SHORTEST:
            text = text.replace(value, "…")
    return _DIGITS.sub("…", _LISTING.sub(": …", text))[:160] or "…"
