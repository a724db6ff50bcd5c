"""FunReason-MT / HardGen: multi-turn conversations with a thought before every answer.

Row: a list of `{role, content}`; or an object with such a list (`conversations`, `messages`), or with the hub
viewer's columns '0', '1', … '10', which are put into numeric order. Content of the assistant:
`<think> … </think>` and then a call list or text, bare or inside `<tool_call>` or `<answer>`.
What the stage synth makes has the same form; each of its rows holds, under `synth`, the executable task and
what the demonstration shows (see `made`).
Source: the data set's card, Apache-2.0, and appendix A of arXiv:2510.24645v2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....dialogue.messages import Trajectory
from ..conversation.chat import messages_of
from ..conversation.messages import read_chat
from ..conversation.responses import read_response
from ..rows import RowError
from .made import made

__all__ = ["convert", "read_response"]

#: Keys of its node beyond those of every data set, and the values they take.
_FLAG = "error_tool_response"
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
    if wrong and options[_FLAG] == "drop":
        raise RowError(_FLAG)
    found = read_chat(row, options, "funreason_mt", of_rows=[_FLAG, "synth"], of_messages=[_FLAG])
    own = made(outer.get("synth"), found.turns)
    raised = [*found.meta.get("flags", ()), *own.pop("flags", ())]
    meta = {**found.meta, **own} | ({"flags": raised} if raised else {})
    if wrong:
        meta["flags"] = [*meta.get("flags", ()), _FLAG]
    return replace(found, meta=meta)


def _flagged(holder: Mapping[str, Any]) -> bool:
    value = holder.get(_FLAG)
    return value not in _NO if not isinstance(value, (list, dict)) else bool(value)
