"""Values that Python wrote as text, read literally: nothing is ever evaluated."""

from __future__ import annotations

import ast
from typing import Any

_LONGEST = 1_000_000  # characters of a literal


def literal(text: str) -> Any:
    """The value of a Python literal, which executes nothing; None for any other text.

    A dictionary with a key twice is none: one of its values would be lost.
    """
    if len(text) > _LONGEST:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval")
        if any(_repeats(node) for node in ast.walk(tree) if isinstance(node, ast.Dict)):
            return None
        return ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _repeats(node: ast.Dict) -> bool:
    keys = [(type(key.value), key.value) for key in node.keys if isinstance(key, ast.Constant)]
    return len(set(keys)) < len(keys)
