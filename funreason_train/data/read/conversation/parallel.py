"""Calls that stand in messages of their own, made in parallel or behind what the response says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ....plain import literal
from ..fields import blank
from ..json_text import opened
from ..rows import RowError
from .parts import is_text

Message = Mapping[str, Any]

_LABEL = re.compile(r"\ACalling tools?:\s*")  # smolagents'


def joined(messages: Sequence[Message], is_call: Callable[[Message], bool]) -> Sequence[Message]:
    """The messages, those of one response as one: calls that follow each other, and the text before them.

    Only messages of a role and calls are joined, as ms-swift, Toucan and smolagents write them; others are
    refused where their order is checked.

    Args:
        messages: A conversation.
        is_call: Whether a message's role says that it is a call.
    """
    calls = [is_call(message) for message in messages]
    if not any(calls):
        return messages
    told = [call or _is_text(message) for message, call in zip(messages, calls, strict=True)]
    if not any(after and (one or said) for (one, after), said in zip(pairwise(calls), told, strict=False)):
        return messages
    found: list[Message] = []
    run: list[Message] = []
    for message, call in zip(messages, calls, strict=True):
        if call:
            run.append(message)
            continue
        _add(run, found)
        found.append(message)
        run = []
    _add(run, found)
    return found


def _add(run: list[Message], found: list[Message]) -> None:
    """Adds a run of calls to the messages: as one, where that is clear, and to the text before it."""
    spoken = bool(found and run) and _is_text(found[-1])
    calls = _all_calls(run) if run and (spoken or len(run) > 1) else None
    if calls is None:
        found += run
    elif spoken:
        found[-1] = {**found[-1], "tool_calls": calls}
    else:
        said = "content" if "content" in run[0] else "value"
        found.append({**run[0], said: None, "tool_calls": calls})


def _all_calls(run: list[Message]) -> list[Any] | None:
    said = next((key for key in ("content", "value") if key in run[0]), None)
    if said is None or any(len(one) != 2 or one.keys() != run[0].keys() for one in run):
        return None
    calls: list[Any] = []
    for one in run:
        own = _calls(one[said])
        if own is None:
            return None
        calls += own
    return calls


def _is_text(message: Message) -> bool:
    """Whether a message is a response of a text alone."""
    if message.get("role", message.get("from")) not in ("assistant", "gpt"):
        return False
    said = message.get("content", message.get("value"))
    return not blank(said) and all(blank(message.get(key)) for key in ("tool_calls", "function_call"))


def _calls(value: Any) -> list[Any] | None:
    """The calls in the content of a message of calls, as objects; None where it is not clear."""
    if isinstance(value, list) and value and all(map(is_text, value)):
        value = "".join(str(part["text"]) for part in value)
    if isinstance(value, str):
        text = _LABEL.sub("", value)
        try:
            value = opened(text)
        except RowError:
            value = literal(text)
    listed = [value] if isinstance(value, Mapping) else value
    plain = isinstance(listed, list) and bool(listed) and all(isinstance(one, Mapping) for one in listed)
    return listed if plain else None
