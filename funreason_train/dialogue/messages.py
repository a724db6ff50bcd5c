"""The shapes a conversation takes between a source and an export.

A `Trajectory` is structured by turns, so that roles cannot fail to alternate; a `Step` is one training
example cut from it: everything the model saw before one assistant response, and that response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from ..calls.types import Call

Role = Literal["system", "user", "assistant", "tool"]


class Message(TypedDict):
    """One chat message as every chat template reads it."""

    role: Role
    content: str


@dataclass(frozen=True)
class AssistantStep:
    """One assistant response and what the tools answered to it.

    Attributes:
        thought: The chain of thought, without think tags; may be empty.
        calls: The calls made; empty when the response is plain text.
        text: The plain text of a response without calls; empty otherwise.
        results: One tool answer a call, in the order of `calls`; empty at the end of a conversation.
    """

    thought: str
    calls: tuple[Call, ...] = ()
    text: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One user message and the assistant's responses up to the next one."""

    user: str
    steps: tuple[AssistantStep, ...]


@dataclass(frozen=True)
class Trajectory:
    """One conversation from one source row.

    Attributes:
        id: Unique within its source.
        source: The data set's name in the config, e.g. `apigen`.
        tools: The offered tools: `{"name", "description", "parameters": JSON schema of type object}`.
        turns: The conversation.
        system: Instructions of the data set's own, which the system prompt shows after the tools; None for
        none.
        meta: What else is worth tracing (row number, category, environment, licence).
    """

    id: str
    source: str
    tools: tuple[Mapping[str, Any], ...]
    turns: tuple[Turn, ...]
    system: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One training example: the prompt's messages and the response to learn or to score.

    Attributes:
        id: `TRAJECTORY_ID/TURN.RESPONSE`, both counted from 0.
        source: As in the trajectory.
        messages: System message first, tool results merged, no thoughts: what the model sees.
        thought: The thought to learn.
        answer: The rendered call list, or the plain text.
        calls: The gold calls; empty means that plain text is right.
        tools: As in the trajectory.
        meta: As in the trajectory.
    """

    id: str
    source: str
    messages: tuple[Message, ...]
    thought: str
    answer: str
    calls: tuple[Call, ...]
    tools: tuple[Mapping[str, Any], ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
