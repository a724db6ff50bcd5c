"""Glaive's function-calling data as published: a conversation in one text, as messages of OpenAI's form.

Row: `chat`, a text of `USER:`, `ASSISTANT:` and `FUNCTION RESPONSE:` parts, each after empty lines, an
assistant's ending in `<|endoftext|>`; and `system`, `SYSTEM: …` with the functions one after another as JSON.
Source: the card of glaiveai/glaive-function-calling-v2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...rows import RowError
from .dialect import Translated

_ROLES = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool"}
_SPEAKER = re.compile(r"^[^\S\n]*(USER|ASSISTANT|FUNCTION RESPONSE):[^\S\n]?", re.MULTILINE)
_FAR = 200  # characters before a speaker that are searched for an empty line
_END = "<|endoftext|>"


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    chat = row.get("chat") if isinstance(row, Mapping) else None
    return isinstance(chat, str) and "messages" not in row and bool(_speakers(chat))


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape` for a text whose speakers are not clear.
    """
    outer = dict(row)
    chat = outer.pop("chat")
    speakers = _speakers(chat)
    if chat[: speakers[0].start()].strip():
        raise RowError("row_shape", "the chat does not begin with who speaks")
    messages: list[dict[str, Any]] = []
    for number, speaker in enumerate(speakers):
        end = speakers[number + 1].start() if number + 1 < len(speakers) else len(chat)
        said, role = chat[speaker.end() : end].strip(), _ROLES[speaker[1]]
        if role == "assistant":
            said = said.removesuffix(_END).rstrip()
        if _END in said:
            raise RowError("row_shape", f"{_END} stands inside what the {role} says")
        messages.append({"role": role, "content": said})
    system = outer.get("system")
    if isinstance(system, str):
        outer["system"] = system.strip().removeprefix("SYSTEM:").strip()
    return {**outer, "messages": messages}, []


def _speakers(chat: str) -> list[re.Match[str]]:
    """Where a part begins: a speaker's name at the beginning, or behind an empty line."""
    found = []
    for speaker in _SPEAKER.finditer(chat):
        before = chat[max(0, speaker.start() - _FAR) : speaker.start()]
        if before[len(before.rstrip()) :].count("\n") > 1 or not before.strip():
            found.append(speaker)
    return found
