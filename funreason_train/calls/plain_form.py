"""A quick reading of the form that training teaches, `[f(a=1, b="x", c=[1, 2])]`.

Most of what is read has it, and two patterns take it apart much faster than the tokens do. What they do not
cover is left to the tokens; what they cover means the same there.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import MAX_CALLS
from .names import CONSTANTS
from .tokens import has_surrogates
from .types import Call

_NAME = r"[A-Za-z_][A-Za-z0-9_]*+"
_STRING = r"""(?:"[^"\\\r\n\0]*+"|'[^'\\\r\n\0]*+')"""
_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?"
_SCALAR = rf"(?:{_STRING}|{_NUMBER}|True|False|None|true|false|null)"
_LIST = rf"\[(?:{_SCALAR}(?:, ?{_SCALAR})*)?\]"
_ARGUMENT = rf"{_NAME}=(?:{_SCALAR}|{_LIST})"
_CALL = rf"{_NAME}(?:\.{_NAME})*\((?:{_ARGUMENT}(?:, ?{_ARGUMENT})*)?\)"
_CALLS = re.compile(rf"\[{_CALL}(?:, ?{_CALL})*\]")
# A tool's name and its bracket, or an argument's name, the equals sign and the value.
_PARTS = re.compile(rf"({_NAME}(?:\.{_NAME})*)(\(|=(?:{_SCALAR}|{_LIST}))")
_ITEM = re.compile(_SCALAR)


def plain_calls(text: str) -> list[Call] | None:
    """The calls of a list in the plain form; None if the tokens have to tell what it is."""
    if not _CALLS.fullmatch(text) or has_surrogates(text):
        return None
    calls: list[Call] = []
    arguments: dict[str, Any] = {}
    for name, rest in _PARTS.findall(text):
        last = rest[-1]
        if last == "(":
            if name in CONSTANTS:
                return None
            arguments = {}
            calls.append(Call(name, arguments))
        elif name in arguments:
            return None
        elif last == '"' or last == "'":
            arguments[name] = rest[2:-1]
        elif last == "]":
            items = _ITEM.findall(rest)
            arguments[name] = [item[1:-1] if item[0] in "\"'" else _word(item) for item in items]
        else:
            arguments[name] = _word(rest[1:])
    return calls if len(calls) <= MAX_CALLS else None


def _word(text: str) -> Any:
    if text in CONSTANTS:
        return CONSTANTS[text]
    return float(text) if "." in text else int(text)
