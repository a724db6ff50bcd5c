"""JSON text as a value, strictly: what other readers would refuse or lose is an error here."""

from __future__ import annotations

import json
from typing import Any

from .rows import RowError


def loads(text: str, distinct: bool = False) -> Any:
    """JSON text as a value, strictly.

    Args:
        text: The text.
        distinct: Whether a key that stands twice in an object is refused, and not the last one taken.

    Raises:
        RowError: `invalid_json`, `not_finite`, `nested_too_deeply` or `duplicate_key`.
    """
    try:
        return (_DISTINCT if distinct else DECODER).decode(text)
    except (ValueError, RecursionError) as error:
        raise json_problem(error) from None


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


_DISTINCT = json.JSONDecoder(parse_constant=_not_finite, object_pairs_hook=_distinct)
DECODER = json.JSONDecoder(parse_constant=_not_finite)
