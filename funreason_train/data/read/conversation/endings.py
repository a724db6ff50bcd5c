"""How a response ended: broken off by a limit, or with the end marker of a chat template in its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..fields import blank, field_name
from ..rows import RowError

#: Where APIs say why a response ended.
REASONS = ("finish_reason", "stop_reason", "finishReason", "stopReason")
#: What they say of one that came to its end.
ENDED = frozenset(
    (
        *("stop", "end_turn", "tool_calls", "tool_use", "function_call", "stop_sequence", "completed"),
        *("complete", "end_of_turn", "end_of_message", "tool_call", "eos", "eos_token", "eot"),
        *("finish_reason_unspecified", "finish_reason_stop"),
    )
)
_BROKEN_OFF = re.compile(
    r"length|token|content_?filter|safety|error|incomplete|abort|cancel|timeout", re.IGNORECASE
)
_TOKENS = (
    *("endoftext", "im_end", "eot_id", "eom_id", "end_of_text", "end_of_turn", "end", "eos"),
    *("role_end", "return", "endofturn", "END_OF_TURN_TOKEN", "end_of_role", "eoa"),
)
_MARKS = (
    *(f"<|{token}|>" for token in _TOKENS),
    *("</s>", "<end_of_turn>", "<eos>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "[|endofturn|]", "<eoa>"),
)


def check_ending(message: Mapping[str, Any], flags: list[str]) -> None:
    """Makes sure that no field of a response says that it was broken off.

    Args:
        message: The response.
        flags: Receives the name of a field that says something unknown.

    Raises:
        RowError: `cut_off`.
    """
    for key in REASONS:
        if key not in message:
            continue
        reason = message[key]
        if blank(reason) or (isinstance(reason, str) and reason.lower() in ENDED):
            continue
        if isinstance(reason, str) and _BROKEN_OFF.search(reason):
            raise RowError("cut_off", f"a response ended with {reason:.40}")
        flags.append(f"unread_message_field:{field_name(key)}")


def without_end_marker(text: str, flags: list[str]) -> str:
    """A response without the markers with which a chat template ends it; in HTML, `</s>` is none."""
    found: list[str] = []
    end = _before_space(text, len(text))
    # From the end, since a pattern would try each of a hundred thousand blank lines anew.
    while mark := next((one for one in _MARKS if text.endswith(one, 0, end)), None):
        found.append(mark)
        end = _before_space(text, end - len(mark))
    if not found or (found == ["</s>"] and "<s>" in text):
        return text
    flags.append("end_marker_dropped")
    return text[:end]


def _before_space(text: str, end: int) -> int:
    while end and text[end - 1].isspace():
        end -= 1
    return end
