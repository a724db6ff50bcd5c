"""JSON text as a value, strictly: what other readers would refuse or lose is an error here."""

from __future__ import annotations

import json
from typing import Any

from ...plain import literal
from .rows import RowError


def loads(text: str) -> Any:
    """JSON text as a value, strictly.

    Args:
        text: The text.

    Raises:
        RowError: `invalid_json`, `not_finite`, `nested_too_deeply` or `duplicate_key`.
    """
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise json_problem(error) from None


def unwrap(text: str) -> Any:
    """JSON text as a value; JSON text inside a JSON string is opened as well (twice at most); see `loads`."""
    value = loads(text)
    return loads(value) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{", '"') else value


def opened(text: str) -> Any:
    """A declaration that stands as text: JSON, or a Python literal, which is read and never evaluated.

    Raises:
        RowError: as `unwrap`.
    """
    try:
        return unwrap(text)
    except RowError as error:
        value = literal(text) if error.reason == "invalid_json" and text.lstrip()[:1] in ("{", "[") else None
        if value is None:
            raise
        return value


def opened_if_text(value: Any) -> Any:
    """A value, opened if it is the text of an object or a list; any other as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return opened(value)
    except RowError:
        return value


def _not_finite(name: str) -> Any:
    raise RowError("not_finite", f"{name} is not a JSON number")


def json_problem(error: Exception) -> RowError:
    if isinstance(error, RowError):
        return error
    if isinstance(error, RecursionError):
        return RowError("nested_too_deeply")
    return RowError("invalid_json", str(error)[:200])


def is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RowError("duplicate_key", f"the key {key!r:.60} stands twice in one object")
    return found


#: Refuses what other readers refuse, and a key that stands twice in an object, where one value would be lost.
DECODER = json.JSONDecoder(parse_constant=_not_finite, object_pairs_hook=_distinct)
#: Reads the same texts and refuses nothing of it: for where a value ends and what kind it is.
LENIENT = json.JSONDecoder()
