"""Writing a call list in the one canonical form that training teaches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring
from typing import Any

from .markers import TOKEN_LIKE
from .names import is_argument_name, is_tool_name
from .tokens import has_surrogates
from .types import Call


def render_calls(calls: Iterable[Call]) -> str:
    """Writes calls as `[f(a=1, g=[True, None]), h(b="x")]`; `parse_calls` reads back exactly the same.

    Strings stand in double quotes with escapes that JSON and Python share; a control marker inside one is
    written with an escaped `<`, so that no rendered call can close a thought or a turn.

    Raises:
        ValueError: a name that the language lacks (see `is_tool_name`), or a value that it cannot write: one
            that is not JSON (NaN, a set …), half of a character, an integer of more than 4,300 digits.
    """
    return "[" + ", ".join(map(_call, calls)) + "]"


def _call(call: Call) -> str:
    if not is_tool_name(call.name):
        raise ValueError(f"the call language has no spelling for a tool named {call.name!r}")
    parts = []
    for name, value in call.arguments.items():
        if not is_argument_name(name):
            raise ValueError(f"the call language has no spelling for an argument named {name!r}")
        parts.append(f"{name}={_value(value)}")
    return f"{call.name}({', '.join(parts)})"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value)  # raises ValueError beyond 4,300 digits
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{_string(key)}: {_value(item)}" for key, item in value.items()) + "}"
    raise ValueError(f"not a JSON value: {value!r:.80}")


def _string(value: str) -> str:
    text = encode_basestring(value)
    if "<" in text:
        text = TOKEN_LIKE.sub(lambda match: "\\u003c" + match[0][1:], text)
    if not text.isascii() and has_surrogates(text):
        raise ValueError("the call language has no spelling for half of a character (a lone surrogate)")
    return text
