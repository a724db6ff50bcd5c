"""Calls made in parallel that stand in messages of their own, as ms-swift writes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..json_text import opened
from ..rows import RowError

Message = Mapping[str, Any]


def joined(messages: Sequence[Message], is_call: Callable[[Message], bool]) -> Sequence[Message]:
    """The messages, those of calls that follow each other as one.

    Only messages of a role and one call in JSON are joined; others are refused where their order is checked.

    Args:
        messages: A conversation.
        is_call: Whether a message's role says that it is a call.
    """
    calls = [is_call(message) for message in messages]
    if not any(one and after for one, after in itertools.pairwise(calls)):
        return messages
    found: list[Message] = []
    run: list[Message] = []
    for message, call in zip(messages, calls, strict=True):
        if call:
            run.append(message)
            continue
        found += _one(run)
        found.append(message)
        run = []
    return [*found, *_one(run)]


def _one(run: list[Message]) -> list[Message]:
    """A run of messages as one message, or as they are where that is not clear."""
    if len(run) < 2 or any(len(message) != 2 or message.keys() != run[0].keys() for message in run):
        return run
    said = next((key for key in ("content", "value") if key in run[0]), None)
    if said is None:
        return run
    calls: list[Any] = []
    for message in run:
        try:
            value = opened(message[said]) if isinstance(message[said], str) else message[said]
        except RowError:
            return run
        if not isinstance(value, Mapping):
            return run
        calls.append(value)
    return [{**run[0], said: None, "tool_calls": calls}]
