"""Which names the call language has: one definition for the reader, the writer and the data's aliases."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

CONSTANTS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
"""The words that stand for a value, in Python's spelling and in JSON's."""

_LONGEST = 512  # characters of a name that is not ASCII: putting accents into order takes quadratic time


def normal_name(name: str) -> str | None:
    """A name as Python reads it, in Unicode's normal form NFKC; None if it is not a name.

    A name is identifiers joined by dots. Letters of every script and their combining marks belong to it.
    """
    if not all(map(str.isidentifier, name.split("."))):
        return None
    if name.isascii():
        return name
    normal = unicodedata.normalize("NFKC", name) if len(name) <= _LONGEST else ""
    return normal if normal not in CONSTANTS and all(map(str.isidentifier, normal.split("."))) else None


@lru_cache(maxsize=1 << 14)
def is_tool_name(name: str) -> bool:
    """Whether the language can call a tool of this name; otherwise it needs an alias wherever it is shown.

    A name that Python would change (an accent of its own behind its letter, a full-width letter) needs one
    too: written as it is, it would be read as another name.
    """
    return name not in CONSTANTS and normal_name(name) == name


@lru_cache(maxsize=1 << 14)
def is_argument_name(name: str) -> bool:
    """Whether the language can pass an argument of this name; see `is_tool_name`."""
    return "." not in name and normal_name(name) == name
