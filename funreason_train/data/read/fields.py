"""Fields of a row that no reader looks at: told from padding, and named in a flag."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_NOTHING = ("", "none", "null", "nan", "<na>", "n/a", "undefined")
_SHOWN = 40  # characters of a field's name


def blank(value: Any) -> bool:
    """Whether nothing stands there: null, NaN (a table's null), or an empty text, list or object."""
    if value is None or isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, (dict, list, tuple, Mapping)):  # the commonest first: an abstract class takes long
        return not value
    return bool(value != value)


def says_nothing(value: Any) -> bool:
    """Whether a text says in so many words that nothing stands there, as tables and converters write null."""
    return isinstance(value, str) and value.strip().strip("\"'").lower() in _NOTHING


def field_name(key: Any) -> str:
    """A key as messages and flags show it, however long or odd it is."""
    text = str(key)
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(one if one.isprintable() and one not in ",:" else "?" for one in shown)


def unread(level: str, holder: Mapping[Any, Any], known: Collection[str]) -> list[str]:
    """A flag for each field with content that is not among those known, `unread_LEVEL_field:NAME`."""
    if all(key in known for key in holder):
        return []
    return [
        f"unread_{level}_field:{field_name(key)}"
        for key, value in holder.items()
        if key not in known and not blank(value)
    ]
