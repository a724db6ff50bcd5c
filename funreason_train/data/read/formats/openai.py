"""OpenAI's chat format with tools: the form of data sets of one's own.

Row: `messages` of the roles system (or developer), user, assistant and tool, and optionally `tools` in
OpenAI's form; either may be JSON text, and the row may be the bare list of messages. An assistant message has
`content` (text, or a list of text parts; or a `refusal`), `tool_calls` (`{"id", "type": "function",
"function": {"name", "arguments"}}`, the arguments as an object or as JSON text of it; several are made in
parallel), or both, and its thought as `reasoning_content` or inside `<think>`. A tool message names by
`tool_call_id` the call that it answers, or else by `name`; results are put into the order of the calls. The
older `function_call`, role `function` and `functions` are read as well. An assistant message of `weight` 0 is
not trained on: it stands in the history of those after it, its calls need not be right, and it is no step
(`meta["untrained"]`).
Source: the reference of OpenAI's chat completions API and its fine-tuning guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....calls.types import Call
from ....dialogue.messages import Trajectory, Turn
from ..rows import RowError
from ..toolsets import Tool, unwrap
from .apigen import read_calls
from .chat import Conversation, identity, messages_of, read_response
from .results import written

#: Keys of its node beyond those of every data set, and the values they take.
OPTIONS = {"tools_missing": ("infer", "reject"), "text_with_calls": ("thought", "drop", "reject")}

_TOOLS = ("tools", "functions", "tools_json")
_THOUGHTS = ("reasoning_content", "reasoning")


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation.

    Args:
        row: The row.
        options: The data set's node of the config: `tools_missing` (infer: the tools are what the gold calls
            show; reject) and `text_with_calls` (what becomes of a text beside calls, which the prompt
            protocol has no place for: the end of the thought, or nothing; or the row is turned away).

    Raises:
        RowError: the row cannot be used.
    """
    outer, messages = messages_of(row)
    declared = next((outer[key] for key in _TOOLS if outer.get(key) is not None), None)
    chat = Conversation(declared)
    for message in messages:
        _add(chat, message, options["text_with_calls"])
    turns = chat.finish()
    tools, raised = chat.offer.infer(turns, options["tools_missing"], chat.untrained)
    flags = chat.flags + raised
    if declared is not None:
        turns = _without_padding(turns, tools, flags)
    return Trajectory(
        id=identity(outer),
        source="openai",
        tools=tools,
        turns=turns,
        system=chat.offer.system,
        meta=({"flags": flags} if flags else {}) | ({"untrained": chat.untrained} if chat.untrained else {}),
    )


def _add(chat: Conversation, message: Mapping[str, Any], text_with_calls: str) -> None:
    role = message.get("role")
    if role in ("system", "developer"):
        chat.system(_text(message))
    elif role == "user":
        chat.user(_text(message))
    elif role == "tool":
        chat.result(_result(message), _id(message.get("tool_call_id")), _id(message.get("name")))
    elif role == "function":
        chat.result(_result(message), name=_id(message.get("name")))
    elif role == "assistant":
        _respond(chat, message, text_with_calls)
    else:
        raise RowError("row_shape", f"a message has the role {role!r:.40}")


def _respond(chat: Conversation, message: Mapping[str, Any], text_with_calls: str) -> None:
    made = message.get("tool_calls") or message.get("function_call") or []
    if isinstance(made, str):
        made = unwrap(made)
    if isinstance(made, Mapping):
        made = [made]
    calls = read_calls(made)
    content = _text(message)
    if not calls and not content.strip() and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    thoughts = [message[key].strip() for key in _THOUGHTS if isinstance(message.get(key), str)]
    if content.strip():
        thought, written, text = read_response(content, chat.flags, chat.offer.tools)
        thoughts.append(thought)
        if calls and written:
            if written != calls:
                raise RowError("call_syntax", "a message has tool_calls and other calls in its content")
        elif calls and text:
            if text_with_calls == "reject":
                raise RowError("call_syntax", "a message has text and tool_calls (text_with_calls: reject)")
            if text_with_calls == "thought":
                thoughts.append(text)
            chat.flags.append(
                f"text_with_calls_{'in_thought' if text_with_calls == 'thought' else 'dropped'}"
            )
        else:
            calls = calls or written
    else:
        text = ""
        if not calls:
            raise RowError("empty_answer")
    thought = "\n\n".join(dict.fromkeys(one for one in thoughts if one))
    ids = [_id(one.get("id")) if isinstance(one, Mapping) else None for one in made]
    if len(set(ids)) < len(ids):  # ids that repeat name nothing
        ids = []
    chat.respond(thought, calls, "" if calls else text, ids, trained=_trained(message, chat.flags))


def _trained(message: Mapping[str, Any], flags: list[str]) -> bool:
    """Whether a message is a target; a weight other than the API's, 0 and 1, is flagged and counts as 1."""
    weight = message.get("weight")
    if weight is None or weight != weight:  # NaN, as tables have it where there is none
        return True
    if weight not in (0, 1):
        flags.append("message_weight_ignored")
    return bool(weight != 0)


def _text(message: Mapping[str, Any]) -> str:
    """A message's content as text; empty where there is none.

    Raises:
        RowError: `row_shape`.
    """
    content = message.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise RowError("row_shape", f"a message's content is a {type(content).__name__}, not text")
    parts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else None
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise RowError("row_shape", f"a message holds a part of the type {kind!r:.40}, which is no text")
        parts.append(text)
    return "".join(parts)


def _result(message: Mapping[str, Any]) -> str:
    """What a tool answered; a value that is no text and no list of text parts is written as JSON."""
    content = message.get("content")
    parts = isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") == "text" for part in content
    )
    return _text(message) if content is None or parts else written(content)


def _id(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and value != "" else None


def _without_padding(turns: tuple[Turn, ...], tools: Iterable[Tool], flags: list[str]) -> tuple[Turn, ...]:
    """The turns without the nulls that tables put into an object's missing fields.

    Arrow gives every `arguments` object of a column the keys of all others; a null under a name that its tool
    does not declare is such a key.
    """
    declared = {tool["name"]: tool["parameters"]["properties"] for tool in tools}

    def padding(call: Call) -> set[str]:
        known = declared.get(call.name)
        return {
            key
            for key, value in call.arguments.items()
            if value is None and known is not None and key not in known
        }

    if not any(padding(call) for turn in turns for step in turn.steps for call in step.calls):
        return turns
    flags.append("null_arguments_dropped")

    def mend(call: Call) -> Call:
        drop = padding(call)
        return Call(call.name, {key: value for key, value in call.arguments.items() if key not in drop})

    return tuple(
        replace(turn, steps=tuple(replace(step, calls=tuple(map(mend, step.calls))) for step in turn.steps))
        for turn in turns
    )
