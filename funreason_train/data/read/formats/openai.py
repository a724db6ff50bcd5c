"""OpenAI's chat format with tools: the form of data sets of your own.

Row: `messages` of the roles system (or developer), user, assistant and tool, and optionally `tools` in
OpenAI's form; either may be JSON text, and the row may be the bare list of messages. An assistant message has
`content` (text, or a list of text parts; or a `refusal`), `tool_calls` (`{"id", "type": "function",
"function": {"name", "arguments"}}`, the arguments as an object or as JSON text of it; several are made in
parallel), or both, and its thought as `reasoning_content` or inside `<think>`. A tool message names by
`tool_call_id` the call that it answers, or else by `name`; results are put into the order of the calls. The
older `function_call`, role `function` and `functions` are read as well. An assistant message of `weight` 0 is
not trained on: it stands in the history of those after it, its calls need not be right, and it is not a step
(`meta["untrained"]`). Rows of other APIs and libraries are told by their keys and translated first (see
`dialects`).
Source: the reference of OpenAI's chat completions API and its fine-tuning guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dialogue.messages import Trajectory
from ..conversation.messages import read_chat
from .dialects import own_form
from .dialects.dialect import flagged


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation.

    Args:
        row: The row.
        options: The data set's node of the config: `tools_missing` (infer: the tools are what the gold calls
            show; reject) and `text_with_calls` (what becomes of a text beside calls, which the prompt
            protocol has no place for: the end of the thought, or nothing; or the row is rejected).

    Raises:
        RowError: the row cannot be used.
    """
    other = own_form(row)
    if other is None:
        return read_chat(row, options, "openai")
    return flagged(read_chat(other[0], options, "openai"), other[1])
