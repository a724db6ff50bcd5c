"""APIGen (Salesforce/xlam-function-calling-60k): one question, one parallel call list, no thoughts.

Row: `id` int, `query` str, `answers` JSON text of `[{"name", "arguments"}]`, `tools` JSON text of
`[{"name", "description", "parameters": {NAME: {"type": "str, optional", "description", "default"}}}]`.
Source: the data set's card, CC-BY-4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....calls.types import Call
from ....dialogue.messages import AssistantStep, Trajectory, Turn
from ..rows import RowError
from ..toolsets import read_tools, unwrap


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
    calls = read_calls(row["answers"])
    if not calls:
        raise RowError("empty_answer", "answers is empty, and there is no text to answer with")
    step = AssistantStep(thought="", calls=calls)
    identity = row.get("id")
    return Trajectory(
        id="" if identity is None else str(identity),
        source="apigen",
        tools=tools,
        turns=(Turn(query, (step,)),),
        meta={"flags": flags} if flags else {},
    )


def read_calls(declared: Any) -> tuple[Call, ...]:
    """Calls written as JSON: `[{"name": …, "arguments": {…} or JSON text of it}]`, or JSON text of that.

    Raises:
        RowError: `call_syntax`, `invalid_json`, `not_finite`.
    """
    value = unwrap(declared) if isinstance(declared, str) else declared
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise RowError("call_syntax", f"the calls are a {type(value).__name__}, not a list")
    calls = []
    for one in value:
        if isinstance(one, Mapping) and isinstance(one.get("function"), Mapping):
            one = one["function"]
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            raise RowError("call_syntax", "a call without a name")
        arguments = one.get("arguments", one.get("parameters", {}))
        if isinstance(arguments, str):
            arguments = unwrap(arguments) if arguments.strip() else {}
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, Mapping):
            raise RowError("call_syntax", f"the arguments of {one['name']} are not an object")
        calls.append(Call(one["name"], dict(arguments)))
    return tuple(calls)
