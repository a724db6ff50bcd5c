"""Bedrock's Converse API, as messages of OpenAI's form.

Row: `messages`, whose `content` is a list of blocks, each with one key: `text`, `toolUse`, `toolResult` or
`reasoningContent`. Beside it `system` (a list of `{"text"}`) and `toolConfig`, and maybe `output` and
`stopReason`, the answer as the API gave it.
Source: the reference of Amazon Bedrock's Converse operation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...fields import blank, unread
from ...rows import RowError
from .dialect import Translated, listed, objects, whole

_MARKS = frozenset(("toolUse", "toolResult", "reasoningContent", "cachePoint", "guardContent"))
_ENDED = ("end_turn", "tool_use", "stop_sequence")


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    if isinstance(row, Mapping) and isinstance(row.get("toolConfig"), Mapping):
        return True
    messages = listed(row, ("messages",)) if isinstance(row, Mapping) else row
    if not isinstance(messages, list):
        return False
    contents = [one.get("content") for one in messages if isinstance(one, Mapping)]
    return any(
        isinstance(block, Mapping) and "type" not in block and not _MARKS.isdisjoint(block)
        for content in contents
        if isinstance(content, list)
        for block in content
    )


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape`, `cut_off`.
    """
    flags: list[str] = []
    outer = dict(row) if isinstance(row, Mapping) else {"messages": row}
    said = list(objects(outer.pop("messages", None), "messages"))
    answer = outer.pop("output", None)
    if not blank(answer):
        message = answer.get("message") if isinstance(answer, Mapping) else None
        said += objects([message], "output")
    whole(outer.pop("stopReason", None), _ENDED)
    settings = outer.pop("toolConfig", None)
    if isinstance(settings, Mapping) and "tools" in settings and "tools" not in outer:
        outer["tools"] = settings["tools"]
        flags += unread("row", settings, ("tools",))
    elif not blank(settings):
        raise RowError("tool_shape", "toolConfig has no tools, or there are others beside it")
    system = outer.get("system")
    if isinstance(system, list):
        outer["system"] = [_block(one, flags) for one in objects(system, "system")]
    return {**outer, "messages": [_message(one, flags) for one in said]}, flags


def _message(message: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        content = [block for one in objects(content, "content") if (block := _block(one, flags))]
    return {**message, "content": content}


def _block(block: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    """A block as a part; empty for one that says nothing."""
    held = [key for key, value in block.items() if value is not None]
    if len(held) != 1:
        raise RowError("row_shape", f"a block holds {' and '.join(map(str, held)) or 'nothing'}")
    kind, value = held[0], block[held[0]]
    if kind == "cachePoint":
        flags.append("unread_part_field:cachePoint")
        return {}
    if kind == "text":
        return {"type": "text", "text": value}
    if not isinstance(value, Mapping):
        raise RowError("row_shape", f"a block's {kind!s:.40} is not an object")
    if kind == "toolUse":
        return {"type": "tool_use", **value}
    if kind == "toolResult":
        inner = [_answer(one) for one in objects(value.get("content"), "a toolResult's content")]
        named = {key: one for key, one in value.items() if key not in ("content", "toolUseId")}
        if named.get("status") == "success":
            del named["status"]
        return {**named, "type": "tool_result", "tool_use_id": value.get("toolUseId"), "content": inner}
    if kind == "reasoningContent":
        return _thought(value, flags)
    raise RowError("row_shape", f"a message holds a block of the kind {kind!s:.40}, which is not read")


def _thought(value: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    flags += unread("part", value, ("reasoningText",))
    thought = value.get("reasoningText")
    if blank(thought):
        return {}
    if not isinstance(thought, Mapping) or not isinstance(thought.get("text"), str):
        raise RowError("row_shape", "a reasoningContent has no text")
    rest = {key: one for key, one in thought.items() if key != "text"}
    return {**rest, "type": "thinking", "thinking": thought["text"]}


def _answer(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block of a result: text, or JSON, which is shown as its text."""
    held = {key: value for key, value in block.items() if value is not None}
    if set(held) == {"text"}:
        return {"type": "text", "text": held["text"]}
    if set(held) == {"json"}:
        return {"type": "text", "text": json.dumps(held["json"], ensure_ascii=False)}
    raise RowError(
        "row_shape", f"a toolResult holds {', '.join(map(str, held)) or 'nothing'}, which is not read"
    )
