"""JSON, Python literals and raw text as values; whatever has two meanings is refused.

Nothing is evaluated: Python literals are read by the call language's own reader, which knows no other.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from ..parse import CallSyntaxError, parse_calls
from ..schema import Schema
from ..tokens import has_surrogates
from .reading import Unreadable

_SEPARATORS = re.compile(r"(?:[\s,;]|\\[nrt])*")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});")


class _DuplicateKey(ValueError):
    pass


class _NotFinite(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKey(next(key for key in keys if keys.count(key) > 1))
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotFinite(text[:40])
    return value


def _constant(text: str) -> NoReturn:
    raise _NotFinite(text)


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_constant)


def json_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and where it ends.

    Raises:
        Unreadable: `json`, `duplicate_argument`, `not_finite`, `too_deep`, `bad_number`, `bad_character`.
    """
    try:
        value, end = _JSON.raw_decode(text, start)
    except _DuplicateKey as error:
        raise Unreadable("duplicate_argument", f"the key {str(error)!r:.60} is given twice") from None
    except _NotFinite as error:
        raise Unreadable("not_finite", f"{error} is not a finite number") from None
    except RecursionError:
        raise Unreadable("too_deep") from None
    except json.JSONDecodeError as error:
        raise Unreadable("json", f"{error.msg} at character {error.pos}") from None
    except ValueError:  # more digits than Python converts
        raise Unreadable("bad_number", "an integer has too many digits") from None
    if has_surrogates(value):
        raise Unreadable("bad_character", "a text holds an unpaired surrogate")
    return value, end


def json_values(text: str) -> list[Any]:
    """JSON values that stand one after the other, with white space, commas or semicolons between them.

    A text that is not JSON but one Python literal, such as `{'name': 'f'}`, is read as that.

    Raises:
        Unreadable: it is neither.
    """
    found: list[Any] = []
    at = _past(text, 0)
    try:
        while at < len(text):
            value, end = json_at(text, at)
            found.append(value)
            at = _past(text, end)
    except Unreadable as error:
        if error.problem != "json" or found:
            raise
        literal = python_literal(text)
        if literal is None:
            raise
        return [literal]
    return found


def _past(text: str, at: int) -> int:
    match = _SEPARATORS.match(text, at)
    return match.end() if match else at


def python_literal(text: str) -> Any:
    """The value of a Python literal, as the call language reads one; None for any other text.

    Raises:
        Unreadable: a key is given twice.
    """
    try:
        return parse_calls(f"[f(a={text.strip()})]")[0].arguments["a"]
    except CallSyntaxError as error:
        if error.reason == "duplicate_key":
            raise Unreadable("duplicate_argument") from None
        return None


def json_object(text: str) -> dict[str, Any]:
    """An object that is all there is in a text; empty for an empty text.

    Raises:
        Unreadable: it is anything else.
    """
    if not text.strip():
        return {}
    values = json_values(text)
    if len(values) == 1 and isinstance(values[0], str) and values[0].lstrip().startswith("{"):
        values = json_values(values[0])
    if len(values) != 1 or not isinstance(values[0], dict):
        raise Unreadable("arguments_not_object")
    return values[0]


def raw_value(text: str, schema: Schema | None) -> Any:
    """A value written as raw text, as the XML-like notations have it.

    With a schema the declared type says what it is. Without one, what could be JSON as well as text is
    refused; anything else is a text.

    Raises:
        Unreadable: `untyped_value`.
    """
    if _ENTITY.search(text):
        raise Unreadable("untyped_value", "an XML entity may stand for itself or for a character")
    types = schema.types if schema is not None else None
    if types == {"string"}:
        return text
    try:
        value, end = json_at(text.strip(), 0)
        other = end == len(text.strip()) and not isinstance(value, str)
    except Unreadable:
        value = {"True": True, "False": False, "None": None}.get(text.strip(), text)
        other = value is not text
    if types is None or (types and "string" in types):
        if not other:
            return text
        raise Unreadable("untyped_value", f"{text.strip()!r:.60} may be a text or not")
    if not other:
        raise Unreadable("untyped_value", f"{text.strip()!r:.60} is not of its declared type")
    return value


def stated_value(text: str, is_text: bool) -> Any:
    """A value of which the notation says whether it is a text or JSON, as DeepSeek's does.

    Raises:
        Unreadable: `untyped_value`, or as `json_at`.
    """
    if _ENTITY.search(text):
        raise Unreadable("untyped_value", "an XML entity may stand for itself or for a character")
    if is_text:
        return text
    values = json_values(text)
    if len(values) != 1:
        raise Unreadable("json", f"{text.strip()!r:.60} is not one JSON value")
    return values[0]
