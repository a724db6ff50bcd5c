"""APIGen (Salesforce/xlam-function-calling-60k): one question, one parallel call list, no thoughts.

Row: `id` int, `query` str, `answers` JSON text of `[{"name", "arguments"}]`, `tools` JSON text of
`[{"name", "description", "parameters": {NAME: {"type": "str, optional", "description", "default"}}}]`.
Source: the data set's card, CC-BY-4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dialogue.messages import AssistantStep, Trajectory, Turn
from ..conversation.calls import read_calls
from ..fields import unread
from ..rows import RowError
from ..toolsets import read_tools

__all__ = ["convert", "read_calls"]

_FIELDS = frozenset({"id", "query", "answers", "tools"})


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation of one turn.

    Args:
        row: The row.
        options: The data set's node of the config.

    Raises:
        RowError: the row cannot be used.
    """
    if not isinstance(row, Mapping):
        raise RowError("row_shape", f"the row is a {type(row).__name__}, not an object")
    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        raise RowError("missing_field", "query is missing or empty")
    for field in ("answers", "tools"):
        if row.get(field) is None:
            raise RowError("missing_field", f"{field} is missing")
    tools, flags = read_tools(row["tools"])
    if not tools:
        raise RowError("missing_field", "tools is empty")
    calls = read_calls(row["answers"], tools, flags)
    if not calls:
        raise RowError("empty_answer", "answers is empty, and there is no text to answer with")
    step = AssistantStep(thought="", calls=calls)
    flags += unread("row", row, _FIELDS)
    identity = row.get("id")
    return Trajectory(
        id="" if identity is None else str(identity),
        source="apigen",
        tools=tools,
        turns=(Turn(query, (step,)),),
        meta={"flags": flags} if flags else {},
    )
