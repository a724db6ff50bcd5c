"""OpenAI's harmony, the notation of gpt-oss: channels, one of them for calls.

<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.f
<|constrain|>json<|message|>{"a": 1}<|call|>
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..types import Call
from .objects import plain_name
from .reading import Unreadable
from .values import json_object

_RECIPIENT = re.compile(r"\bto=(?:functions\.)?(?P<name>[^\W\d][\w.-]*)")
# Possessive where white space could be shared out in many ways: the time would be the cube of its length.
# On single characters only, see `tokens`.
_CALL = re.compile(
    r"""\s*+(?:<\|start\|>\s*+(?:(?!to=)\w)*\s*+)?(?:<\|channel\|>\s*+(?:(?!to=)\w)*\s*+)?
        to=(?:functions\.)?(?P<name>[^\W\d][\w.-]*+)
        (?:\s*+<\|channel\|>\s*+\w*+)?\s*+(?:<\|constrain\|>)?\s*+\w*+\s*+
        <\|message\|>(?P<body>.*?)(?:<\|call\|>|\Z)""",
    re.VERBOSE | re.DOTALL,
)


def find_harmony(text: str) -> tuple[int, int] | None:
    """Where such calls begin and end; None without any."""
    if "to=" not in text:
        return None
    recipient = _RECIPIENT.search(text)
    if recipient is None or ("<|message|>" not in text and "<|channel|>" not in text):
        return None
    start = recipient.start()
    for mark in ("<|channel|>", "<|start|>"):
        before = text.rfind(mark, 0, start)
        if before >= 0 and "<|message|>" not in text[before:start]:
            start = before
    return start, len(text)


def read_harmony(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """The calls of what `find_harmony` found.

    Raises:
        Unreadable: `call_tags`, or as `json_object`.
    """
    calls, at = [], 0
    while call := _CALL.match(text, at):
        if not call["body"].strip():
            raise Unreadable("json", f"the message to {call['name']} is empty")
        calls.append(Call(plain_name(call["name"], tool_names), json_object(call["body"])))
        at = call.end()
    if not calls or text[at:].strip():
        raise Unreadable("call_tags", f"a message to a tool is damaged: {text[at : at + 60]}")
    return calls
