"""Calls written as JSON without marks around them, alone, amid prose or in fenced code."""

from __future__ import annotations

import re
from collections.abc import Collection

from .objects import is_call_object
from .reading import Unreadable
from .values import json_at, python_literal

_START = re.compile(r"""(?<![\w$])(?:\[\s*+\{\s*+["']|\{\s*+["'])""")
_DAMAGED = re.compile(
    r"""\[?\s*+\{\s*+(?:
          ["'](?:name|tool_name|function_name|tool)["']\s*+:\s*+["'][^\W\d][\w.-]*+["']\s*+,\s*+
          ["'](?:arguments|parameters|args|tool_input|input)["']\s*+:
        | ["'](?:arguments|parameters)["']\s*+:\s*+[{"']
        | ["'](?:tool_calls|function_calls|function_call|tool_call)["']\s*+:\s*+[\[{]
        | (?:["'](?:id|type)["']\s*+:\s*+["'][^"'\n]*+["']\s*+,\s*+){0,2}["']function["']\s*+:\s*+\{
        )""",
    re.VERBOSE,
)
_MOST_TRIED = 8


def find_json(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """Where JSON that is calls, whole or damaged, begins and ends in a text; None without any."""
    if "{" not in text:
        return None
    first = last = -1
    at = tried = 0
    while start := _START.search(text, at):
        if tried >= _MOST_TRIED:
            damaged = _DAMAGED.search(text, start.start())
            if damaged is not None and first < 0:
                first = damaged.start()
            return (first, len(text)) if first >= 0 else None
        try:
            value, at = json_at(text, start.start())
        except Unreadable as error:
            tried += 1
            if _DAMAGED.match(text, start.start()):
                return first if first >= 0 else start.start(), len(text)
            value = _literal(text, start.start()) if tried == 1 else None
            at = len(text) if value is not None else start.start() + 1
            if value is None and error.problem == "duplicate_argument":
                return None
        if value is not None and is_call_object(value, tool_names):
            first, last = (first if first >= 0 else start.start()), at
    return (first, last) if first >= 0 else None


def _literal(text: str, start: int) -> object:
    """The value of a Python literal that goes on to the end of the text."""
    try:
        return python_literal(text[start:])
    except Unreadable:
        return None
