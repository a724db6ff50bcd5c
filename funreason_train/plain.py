"""Remembering what was made of a plain value, so that a tool of many rows is worked on once a process."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

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
