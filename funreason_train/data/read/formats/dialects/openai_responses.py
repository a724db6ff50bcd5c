"""The items of OpenAI's Responses API, as messages of the chat format.

Row: `input` (a list of items, or the user's text) and maybe `output` (items, or the answer's text), or one
list of items under `items` or `messages`, or that list itself; beside it `instructions` and `tools`. Items
are messages, `function_call`, `function_call_output` and `reasoning`. What stands between the user's or a
tool's items is one response; an item of another type makes the row unusable.
Source: the reference of OpenAI's Responses API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...conversation.chat import LISTS
from ...fields import blank, says_nothing
from ...rows import RowError
from .dialect import Translated, listed, objects, whole

_ITEMS = (
    "function_call",
    "function_call_output",
    "reasoning",
    "custom_tool_call",
    "mcp_call",
    "item_reference",
)
_LISTS = ("input", "items", "messages")
_ELSEWHERE = ("previous_response_id", "conversation")
_ENDED = ("completed",)
_OF_CALLS = ("type", "call_id", "id", "status")


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    if not isinstance(row, Mapping):
        return _has_items(row)
    if _has_items(listed(row, _LISTS)):
        return True
    chat = any(not blank(row.get(key)) for key in LISTS)
    return not chat and (
        isinstance(row.get("input"), list) or (isinstance(row.get("output"), list) and "input" in row)
    )


def _has_items(value: Any) -> bool:
    return isinstance(value, Sequence) and any(
        isinstance(one, Mapping) and one.get("type") in _ITEMS and blank(one.get("role")) for one in value
    )


def translated(row: Any) -> Translated:
    """A row in the chat format, and the flags for what is left out.

    Raises:
        RowError: `row_shape`, `call_syntax`, `cut_off`.
    """
    outer = dict(row) if isinstance(row, Mapping) else {"items": row}
    for key in _ELSEWHERE:
        if not blank(outer.get(key)):
            raise RowError("row_shape", f"{key} says that the conversation begins elsewhere")
    whole(outer.pop("status", None), _ENDED)
    held = [key for key in _LISTS if not blank(outer.get(key))]
    if len(held) != 1:
        raise RowError("row_shape", f"the items stand under {' and '.join(held) or 'no key'}")
    said = outer.pop(held[0])
    items = [{"role": "user", "content": said}] if isinstance(said, str) else objects(said, held[0])
    answer = outer.pop("output", None)
    items += (
        [{"role": "assistant", "content": answer}] if _is_text(answer) else objects(answer or [], "output")
    )
    instructions = outer.pop("instructions", None)
    if not blank(instructions):
        items.insert(0, {"role": "system", "content": instructions})
    return {**outer, "messages": _Messages(items).made}, []


class _Messages:
    """Items as messages.

    Attributes:
        made: The messages.

    Args:
        items: In order.
    """

    def __init__(self, items: Sequence[Mapping[str, Any]]) -> None:
        self.made: list[dict[str, Any]] = []
        self._response: dict[str, Any] = {}
        for item in items:
            whole(item.get("status"), _ENDED)
            self._item(item)
        self._close()

    def _item(self, item: Mapping[str, Any]) -> None:
        kind = item.get("type") or "message"
        if kind == "message":
            self._message({key: value for key, value in item.items() if key not in ("type", "id", "status")})
        elif kind == "reasoning":
            self._reason(item)
        elif kind == "function_call":
            named = item.get("call_id") or item.get("id")
            rest = {key: value for key, value in item.items() if key not in _OF_CALLS}
            self._open().setdefault("tool_calls", []).append({**rest, "id": named})
        elif kind == "function_call_output":
            self._close()
            rest = {key: value for key, value in item.items() if key not in (*_OF_CALLS, "output")}
            named = {"tool_call_id": item.get("call_id")}
            self.made.append({**rest, **named, "role": "tool", "content": item.get("output")})
        else:
            raise RowError("row_shape", f"an item has the type {kind!s:.40}, which is not read")

    def _message(self, item: dict[str, Any]) -> None:
        if item.get("role") != "assistant":
            self._close()
            self.made.append(item)
            return
        if "content" in self._response:
            self._close()
        self._open().update(item)

    def _reason(self, item: Mapping[str, Any]) -> None:
        """A thought: its own words, or else its summary."""
        if "content" in self._response or "tool_calls" in self._response:
            self._close()  # it begins another response, for which there has to be a reason in between
        texts = {key: _texts(item.get(key), key) for key in ("content", "summary")}
        response = self._open()
        response.setdefault("reasoning_content", []).extend(texts["content"] or texts["summary"])
        unused = {"summary": item.get("summary")} if texts["content"] and texts["summary"] else {}
        known = ("type", "id", "status", "content", "summary")
        response.update(unused, **{str(key): value for key, value in item.items() if key not in known})

    def _open(self) -> dict[str, Any]:
        self._response.setdefault("role", "assistant")
        return self._response

    def _close(self) -> None:
        if self._response:
            self.made.append(self._response)
            self._response = {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not value.lstrip().startswith("[{")


def _texts(value: Any, key: str) -> list[str]:
    if blank(value) or says_nothing(value):
        return []
    if isinstance(value, str):
        return [value]
    parts = objects(value, key)
    if any(set(part) - {"type", "text"} or not isinstance(part.get("text"), str) for part in parts):
        raise RowError("row_shape", f"a reasoning item's {key} is not made of texts")
    return [part["text"] for part in parts if part["text"]]
