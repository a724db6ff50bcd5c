"""LangChain's messages, as messages of OpenAI's form.

Row: `messages`, or that list itself, in any of the three forms in which LangChain writes a message:
`{"type": "human", "data": {…}}`, `{"type": "human", "content": …}` and
`{"lc": 1, "type": "constructor", "id": […, "HumanMessage"], "kwargs": {…}}`. Tools stand beside it
as OpenAI's.
Source: the reference of langchain-core's messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fields import blank
from ...rows import RowError
from .dialect import Translated, listed, objects, whole

_ROLES = {
    **{"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "function"},
    **{"humanmessage": "user", "aimessage": "assistant", "systemmessage": "system", "toolmessage": "tool"},
    **{"functionmessage": "function", "chat": "", "chatmessage": ""},  # the last name their role
}
_ENDED = ("stop", "STOP", "end_turn", "tool_calls", "tool_use", "function_call", "stop_sequence", "completed")
_REASONS = ("finish_reason", "stop_reason", "stopReason")
#: Where a message holds what its provider called it.
_PROVIDER = {
    **{"tool_calls": "toolCalls", "function_call": "function_call", "refusal": "refusal"},
    **dict.fromkeys(("reasoning_content", "reasoning", "thinking"), "reasoning_content"),
}
_OF_MESSAGES = (
    *("type", "id", "additional_kwargs", "response_metadata", "example", "status", "invalid_tool_calls"),
)


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    messages = listed(row, ("messages",)) if isinstance(row, Mapping) else row
    return isinstance(messages, list) and bool(messages) and all(map(_is_message, messages))


def _is_message(value: Any) -> bool:
    if not isinstance(value, Mapping) or "from" in value:
        return False
    if value.get("type") == "constructor":
        return "lc" in value and isinstance(value.get("kwargs"), Mapping)
    data = value.get("data")
    inside = data if isinstance(data, Mapping) else value
    own_role = inside is value and "role" in value  # then it is a message of OpenAI's
    return _kind(value.get("type")) in _ROLES and "content" in inside and not own_role


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape`, `call_syntax`, `cut_off`.
    """
    flags: list[str] = []
    outer = dict(row) if isinstance(row, Mapping) else {"messages": row}
    messages = [_message(one, flags) for one in objects(outer["messages"], "messages")]
    return {**outer, "messages": messages}, flags


def _kind(value: Any) -> str:
    return str(value).lower().removesuffix("chunk")


def _message(declared: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    kind, fields = declared.get("type"), dict(declared)
    if kind == "constructor":
        fields, named = dict(declared["kwargs"]), declared.get("id")
        kind = named[-1] if isinstance(named, list) and named else None
    elif isinstance(declared.get("data"), Mapping):
        fields = dict(declared["data"])
    role = _ROLES.get(_kind(kind))
    if role is None:
        raise RowError("row_shape", f"a message is a {kind!s:.40}, which is not read")
    if not blank(fields.get("invalid_tool_calls")):
        raise RowError("call_syntax", "a message has invalid_tool_calls")
    message = {str(key): value for key, value in fields.items() if key not in _OF_MESSAGES}
    message["role"] = role or fields.get("role")
    if fields.get("status", "success") != "success":
        flags.append("unread_message_field:status")
    if role != "tool" and role != "function":
        message.pop("name", None)
        flags += ["unread_message_field:name"] if not blank(fields.get("name")) else []
    _provider(message, fields.get("additional_kwargs"), flags)
    told = fields.get("response_metadata")
    if isinstance(told, Mapping) and told:
        for key in _REASONS:
            whole(told.get(key), _ENDED)
        flags.append("unread_message_field:response_metadata")
    return message


def _provider(message: dict[str, Any], told: Any, flags: list[str]) -> None:
    """Puts what the provider said in its own words into fields of the message."""
    if not isinstance(told, Mapping):
        if not blank(told):
            raise RowError("row_shape", "a message's additional_kwargs are not an object")
        return
    for key, value in told.items():
        if blank(value):
            continue
        place = _PROVIDER.get(key)
        if place is None or not blank(message.get(place)):
            flags.append(f"unread_message_field:additional_kwargs.{key!s:.20}")
        else:
            message[place] = value
