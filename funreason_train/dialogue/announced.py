"""Tools that a user's message brings along in the middle of a conversation.

BFCL does it so where a function was missing (`multi_turn_miss_func`): the message is the documents of the new
functions, as Python writes a list, a new line, and a sentence. Nothing else shows them: the system message
stays as it was. A conversation's text alone therefore says which tools are offered when, and training,
rollouts and evaluation see the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..plain import literal

ASKED_AGAIN = "I have updated some more functions you can choose from. What about now?"
"""What BFCL says after the documents (`constants/default_prompts.py`)."""

_LONGEST = 100_000  # characters of a message in which documents are looked for

Tools = Sequence[Mapping[str, Any]]


def announcement(tools: Tools, asked: str = ASKED_AGAIN) -> str:
    """A user's message that offers more tools.

    Args:
        tools: `{"name", "description", "parameters"}`.
        asked: What the user says after them.
    """
    return f"{[dict(tool) for tool in tools]}\n{asked}"


def announced(text: str) -> tuple[Mapping[str, Any], ...]:
    """The documents at the beginning of a user's message; none if it does not begin with a list of them.

    Args:
        text: A message; the list is as Python or as JSON writes it.
    """
    text = text.lstrip()
    if not text.startswith(("[{", "[\n")) or len(text) > _LONGEST:
        return ()
    found = _read(text)
    return tuple(found) if found and all(map(_is_document, found)) else ()


def offered(tools: Sequence[Any], users: Iterable[str]) -> Sequence[Any]:
    """The tools that are offered after some messages of the user; `tools` itself if none brought any.

    Args:
        tools: Those of the system message.
        users: The user's messages up to now.
    """
    for text in users:
        if more := announced(text):
            names = {tool["name"] for tool in tools}
            tools = (*tools, *(tool for tool in more if tool["name"] not in names))
    return tools


def _read(text: str) -> list[Any] | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        value = literal(text.partition("\n")[0])
    return value if isinstance(value, list) else None


def _is_document(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("description", ""), str)
        and isinstance(value.get("parameters"), dict)
    )
