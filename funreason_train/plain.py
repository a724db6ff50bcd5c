"""Remembering what was made of a value: the tools of many rows, or the conversation at hand."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


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
