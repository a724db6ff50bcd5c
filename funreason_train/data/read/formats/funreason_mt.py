"""FunReason-MT / HardGen: multi-turn conversations with a thought before every answer.

Row: a list of `{role, content}`; or an object with such a list (`conversations`, `messages`), or with the hub
viewer's columns '0', '1', … '10', which are put into numeric order. Content of the assistant:
`<think> … </think>` and then a call list or text, bare or inside `<tool_call>` or `<answer>`.
What the stage synth makes has the same form; each of its rows holds, under `synth`, the executable task and
what the demonstration shows (see `made`).
Source: the data set's card, Apache-2.0, and appendix A of arXiv:2510.24645v2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ....dialogue.messages import Trajectory
from ..rows import RowError
from .chat import Conversation, identity, messages_of, read_response
from .made import made

#: Keys of its node beyond those of every data set, and the values they take.
OPTIONS = {"error_tool_response": ("keep", "drop"), "tools_missing": ("infer", "reject")}

_ROLES = {
    "system": "system",
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "function_call"), "assistant"),
    **dict.fromkeys(("tool", "observation", "function"), "tool"),
}
_RESULT = re.compile(r"\A\s*<tool_response>(.*)</tool_response>\s*\Z", re.DOTALL)
_NO = (None, False, 0, "", "false", "False", "none", "None", "0")


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation.

    Args:
        row: The row.
        options: The data set's node of the config: `error_tool_response` (keep or drop conversations whose
            environment replies are deliberately wrong) and `tools_missing` (infer: the tools are what the
            gold calls show; reject).

    Raises:
        RowError: the row cannot be used.
    """
    outer, messages = messages_of(row)
    wrong = _flagged(outer) or any(map(_flagged, messages))
    if wrong and options["error_tool_response"] == "drop":
        raise RowError("error_tool_response")
    chat = Conversation(outer.get("tools"))
    for message in messages:
        _add(chat, _role(message), _content(message))
    turns = chat.finish()
    flags = chat.flags + (["error_tool_response"] if wrong else [])
    tools, raised = chat.offer.infer(turns, options["tools_missing"])
    meta: dict[str, Any] = {"flags": flags + raised} if flags or raised else {}
    return Trajectory(
        id=identity(outer),
        source="funreason_mt",
        tools=tools,
        turns=turns,
        system=chat.offer.system,
        meta=meta | made(outer.get("synth"), turns),
    )


def _flagged(holder: Mapping[str, Any]) -> bool:
    value = holder.get("error_tool_response")
    return value not in _NO if not isinstance(value, (list, dict)) else bool(value)


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role", message.get("from"))
    if not isinstance(role, str) or role not in _ROLES:
        raise RowError("row_shape", f"a message has the role {role!r:.40}")
    return _ROLES[role]


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content", message.get("value"))
    if not isinstance(content, str):
        raise RowError("row_shape", f"a message's content is a {type(content).__name__}, not text")
    return content


def _add(chat: Conversation, role: str, content: str) -> None:
    if role == "system":
        chat.system(content)
    elif role == "user":
        chat.user(content)
    elif role == "tool":
        wrapped = _RESULT.match(content)
        chat.result(wrapped.group(1).strip() if wrapped else content)
    else:
        chat.respond(*read_response(content, chat.flags, chat.offer.tools))
