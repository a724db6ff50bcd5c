"""LlamaIndex's chat messages, as messages of OpenAI's form.

Row: `messages`, or that list itself, of `{"role", "blocks": […], "additional_kwargs": {…}}`. A block is of
the `block_type` `text`, `thinking` or `tool_call` (`tool_call_id`, `tool_name`, `tool_kwargs`); older ones
have `content` instead of blocks. Calls may stand in `additional_kwargs.tool_calls` in OpenAI's form, and a
tool's message says in `additional_kwargs.tool_call_id` which call it answers.
Source: the reference of LlamaIndex' `ChatMessage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fields import blank, unread
from ...rows import RowError
from .dialect import Translated, listed, objects

_OF_KWARGS = ("tool_calls", "tool_call_id", "name")


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    messages = listed(row, ("messages",)) if isinstance(row, Mapping) else row
    return isinstance(messages, list) and bool(messages) and all(map(_is_message, messages))


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and "role" in value
        and "type" not in value
        and isinstance(value.get("additional_kwargs"), Mapping)
    )


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape`.
    """
    flags: list[str] = []
    outer = dict(row) if isinstance(row, Mapping) else {"messages": row}
    messages = [_message(one, flags) for one in objects(outer["messages"], "messages")]
    return {**outer, "messages": messages}, flags


def _message(declared: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    message = {str(k): v for k, v in declared.items() if k not in ("blocks", "additional_kwargs")}
    told = declared["additional_kwargs"]
    flags += unread("message", told, _OF_KWARGS)
    message |= {key: told[key] for key in _OF_KWARGS if not blank(told.get(key)) and blank(message.get(key))}
    parts = [_block(one, flags) for one in objects(declared.get("blocks") or [], "blocks")]
    calls = [part for part in parts if part["type"] == "tool_call"]
    if calls and not blank(message.get("tool_calls")):  # they stand in both places, and agree or are refused
        message["function_calls"] = [{k: v for k, v in call.items() if k != "type"} for call in calls]
        parts = [part for part in parts if part["type"] != "tool_call"]
    if blank(message.get("content")):
        message["content"] = parts
    elif any(part not in ({"type": "text", "text": message["content"]},) for part in parts):
        raise RowError("row_shape", "a message's content and its blocks differ")
    return message


def _block(block: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    kind = block.get("block_type")
    if kind == "text":
        flags += unread("part", block, ("block_type", "text"))
        return {"type": "text", "text": block.get("text")}
    if kind == "thinking":
        flags += unread("part", block, ("block_type", "content"))
        return {"type": "thinking", "thinking": block.get("content")}
    if kind == "tool_call":
        flags += unread("part", block, ("block_type", "tool_call_id", "tool_name", "tool_kwargs"))
        own = {"id": block.get("tool_call_id"), "name": block.get("tool_name")}
        return {"type": "tool_call", **own, "arguments": block.get("tool_kwargs")}
    raise RowError("row_shape", f"a block has the type {kind!s:.40}, which is not read")
