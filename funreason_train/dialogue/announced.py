"""Tools that a user's message brings along in the middle of a conversation.

BFCL does it so where a function was missing (`multi_turn_miss_func`): the message is the documents of the new
functions, as Python writes a list, a new line, and a sentence. Nothing else shows them: the system message
stays as it was. A conversation's text alone therefore says which tools are offered when, and training,
rollouts and evaluation see the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
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


def renamed(text: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> str:
    """A user's message with other documents in it, written as they were; the text itself if it brings none.

    Args:
        text: A message.
        change: A document to the one that takes its place.
    """
    found = announced(text)
    if not found:
        return text
    before, told = text[: len(text) - len(text.lstrip())], text.lstrip()
    try:
        rest = told[json.JSONDecoder().raw_decode(told)[1] :]
    except (ValueError, RecursionError):
        rest = "".join(told.partition("\n")[1:])
    listed, now = [dict(one) for one in found], [dict(change(one)) for one in found]
    written = told[: len(told) - len(rest)]
    form = next((form for form in _FORMS if form(listed) == written.strip()), str)
    return f"{before}{form(now)}{rest}"


_FORMS: tuple[Callable[[Any], str], ...] = (
    str,
    *(
        partial(json.dumps, ensure_ascii=ascii_only, **layout)
        for ascii_only in (False, True)
        for layout in ({}, {"separators": (",", ":")}, {"indent": 2}, {"indent": 4})
    ),
)


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
