"""Plain values, JSON's types: remembering what was made of one, writing any, reading Python's text of one."""

from __future__ import annotations

import ast
import json
import marshal
import math
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


#: Control characters but for tabs and ends of lines, marks of direction, lone surrogates.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST_LITERAL = 1_000_000  # characters
_MOST_BITS = 14_000  # Python does not write integers of more than 4,300 decimal digits


def json_text(value: Any) -> str:
    """JSON text in UTF-8's reach for any value, also for one that JSON cannot hold.

    A lone surrogate is written as its escape; a number that is not finite or has more than 4,300 digits as a
    text, `inf` or hexadecimal; what is neither JSON's nor nested within Python's bounds as a short text.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(_writable(value, 200), ensure_ascii=False, allow_nan=False)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _writable(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MOST_BITS else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if depth and isinstance(value, dict):
        return {str(_writable(key, 0)): _writable(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [_writable(item, depth - 1) for item in value]
    return f"({type(value).__name__})"


def visible(text: str) -> str:
    """The text for a terminal: what would steer it or turn the writing around is an escape there.

    Answers of models, rows of data and file names hold whatever others wrote.
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def is_number(value: Any) -> bool:
    """Whether a value is a number in JSON's sense; Python's True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether a value is a number to count with: neither NaN, nor infinite, nor beyond all floats."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def once(size: int) -> Callable[[Callable[[Any], Result]], Callable[[Any], Result]]:
    """Decorates a function of one plain value (JSON's types): equal values get the same result object back.

    Values are told apart by their `marshal` bytes, several times cheaper than JSON text; format 2 knows no
    references, and 1, 1.0 and True differ. A value that holds anything else is worked on each time.

    Args:
        size: Results held; when there are more, all are forgotten. Nobody may change a result.
    """

    def decorate(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
        held: dict[bytes, Result] = {}

        @wraps(function)
        def remembered(value: Any) -> Result:
            try:
                key = marshal.dumps(value, 2)
            except ValueError:
                return function(value)
            try:
                return held[key]
            except KeyError:
                result = function(value)
            if len(held) >= size:
                held.clear()
            held[key] = result
            return result

        return remembered

    return decorate


def last(function: Callable[[Value], Result]) -> Callable[[Value], Result]:
    """Decorates a function of one value that never changes: asked for the same object again, it remembers."""
    held: list[tuple[Value, Result]] = []

    @wraps(function)
    def remembered(value: Value) -> Result:
        for known, result in held:
            if known is value:
                return result
        result = function(value)
        held[:] = [(value, result)]
        return result

    return remembered


def literal(text: str) -> Any:
    """The value of a Python literal, which executes nothing; None for any other text.

    A dictionary with a key twice is none: one of its values would be lost.
    """
    if len(text) > _LONGEST_LITERAL:
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
