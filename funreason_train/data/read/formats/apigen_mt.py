"""APIGen-MT-5k (Salesforce/APIGen-MT-5k): multi-turn retail and airline conversations without thoughts.

Row (ShareGPT): `conversations`, a list of `{"from": human, gpt, function_call or observation, "value": str}`,
`system` (the domain's policy) and `tools` (JSON text of a list). The value of a `function_call` is JSON text
of `{"name", "arguments"}` or of a list of these; other converters' names of the same roles are read as well.
Source: the data set's card, CC-BY-NC-4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dialogue.messages import Trajectory
from ..rows import RowError
from .apigen import read_calls
from .chat import Conversation, identity, messages_of, read_response
from .results import written

#: Keys of its node beyond those of every data set, and the values they take.
OPTIONS = {"tools_missing": ("infer", "reject")}

_ROLES = {
    "system": "system",
    **dict.fromkeys(("human", "user"), "human"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "model"), "gpt"),
    **dict.fromkeys(("function_call", "tool_call", "tool_calls"), "function_call"),
    **dict.fromkeys(("observation", "tool", "tool_response", "function_response"), "observation"),
}


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation.

    Args:
        row: The row.
        options: The data set's node of the config: `tools_missing` (infer: the tools are what the gold calls
            show; reject).

    Raises:
        RowError: the row cannot be used.
    """
    if not isinstance(row, Mapping):
        raise RowError("row_shape", f"the row is a {type(row).__name__}, not an object")
    outer, messages = messages_of(row)
    chat = Conversation(outer.get("tools"))
    policy = outer.get("system")
    if isinstance(policy, str) and policy.strip():
        chat.system(policy)
    for message in messages:
        _add(chat, message)
    turns = chat.finish()
    tools, raised = chat.offer.infer(turns, options["tools_missing"])
    flags = chat.flags + raised
    return Trajectory(
        id=identity(outer),
        source="apigen_mt",
        tools=tools,
        turns=turns,
        system=chat.offer.system,
        meta={"flags": flags} if flags else {},
    )


def _add(chat: Conversation, message: Mapping[str, Any]) -> None:
    said, value = message.get("from", message.get("role")), message.get("value", message.get("content"))
    who = _ROLES.get(said) if isinstance(said, str) else None
    if who is None:
        raise RowError("row_shape", f"a message is from {said!r:.40}")
    if who == "function_call":
        calls = read_calls(value)
        if not calls:
            raise RowError("empty_answer", "a function_call without a call")
        chat.respond("", calls, "")
        return
    if who == "observation" and value is not None:
        chat.result(written(value))
        return
    if not isinstance(value, str):
        raise RowError("row_shape", f"the value of a message is a {type(value).__name__}, not text")
    if who == "system":
        chat.system(value)
    elif who == "human":
        chat.user(value)
    else:
        chat.respond(*read_response(value, chat.flags, chat.offer.tools))
