"""Thoughts that stand in a field of their own beside a response's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import blank, field_name

#: Where a message holds its thought.
THOUGHTS = (
    *("reasoning_content", "reasoning", "thinking", "thought", "tool_plan", "thoughts", "think", "cot"),
    *("chain_of_thought", "thinking_content", "reasoning_text", "thinking_blocks", "reasoning_details"),
)
_OF_ONE = ("text", "thinking", "reasoning", "value", "content")  # fields of a thought that is an object
_BESIDE = ("type", "signature", "format", "id", "index")  # what else such an object has
_ANY = frozenset(THOUGHTS)


def stated_thoughts(message: Mapping[str, Any], flags: list[str]) -> list[str]:
    """What stands in the fields that hold a thought.

    Args:
        message: The response.
        flags: Receives `unread_message_field:NAME` for a field whose value is in no known form.
    """
    found: list[str] = []
    for key in THOUGHTS if not _ANY.isdisjoint(message) else ():
        value = message.get(key)
        if isinstance(value, str):
            found.append(value)
            continue
        parts = [value] if isinstance(value, Mapping) else value
        if isinstance(parts, list) and parts and all(_thought_part(one) for one in parts):
            found += map(_thought_part, parts)
        elif not blank(value) and value is not False:
            flags.append(f"unread_message_field:{field_name(key)}")
    return found


def _thought_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or not part.keys() <= {*_OF_ONE, *_BESIDE}:
        return ""
    texts = [value for key, value in part.items() if key in _OF_ONE and isinstance(value, str) and value]
    return texts[0] if len(texts) == 1 else ""
