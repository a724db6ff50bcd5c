"""Values that Python wrote as text, read literally: nothing is ever evaluated."""

from __future__ import annotations

import ast
from typing import Any

_LONGEST = 1_000_000  # characters of a literal


def literal(text: str) -> Any:
    """The value of a Python literal, which executes nothing; None for any other text."""
    if len(text) > _LONGEST:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
