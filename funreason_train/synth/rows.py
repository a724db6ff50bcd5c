"""A made conversation as a line of `conversations.jsonl`: the form of FunReason-MT, and what RL needs too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..calls.markers import THINK_OPEN
from ..dialogue import Trajectory, render_target, rendered_answers, system_prompt

#: Keys of a trajectory's `meta` that travel with the row, under `synth` (read by data/read/formats/made.py).
KEYS = ("category", "environment", "kinds", "demonstration", "untrained", "task")


def conversation_row(trajectory: Trajectory) -> dict[str, Any]:
    """A conversation as FunReason-MT has it, its tools as a list beside it.

    Args:
        trajectory: The conversation; `meta` may hold the keys in `KEYS`, and `error_tool_response` where one
            of the results is an error reply.

    Returns:
        `{"id", "conversations": [{"role", "content"}, …], "tools", "synth"}`; roles are system, user,
        assistant (`<think>…</think>`, then the call list or the text) and tool (one message a result; see
        `_unambiguous`).
    """
    messages = [{"role": "system", "content": system_prompt(trajectory.tools, "bfcl")}]
    answers = iter(rendered_answers(trajectory))
    for turn in trajectory.turns:
        messages.append({"role": "user", "content": turn.user})
        for step in turn.steps:
            said = THINK_OPEN + render_target(step.thought, next(answers))
            messages.append({"role": "assistant", "content": said})
            messages += ({"role": "tool", "content": one} for one in _unambiguous(step.results))
    row: dict[str, Any] = {"id": trajectory.id, "conversations": messages, "tools": list(trajectory.tools)}
    if trajectory.meta.get("error_tool_response"):
        row["error_tool_response"] = True
    row["synth"] = {key: trajectory.meta[key] for key in KEYS if key in trajectory.meta}
    return row


def _unambiguous(results: Sequence[str]) -> Sequence[str]:
    """Results as messages; one alone that looks like FunReason-MT's list of results stands in such a list."""
    if len(results) == 1 and results[0].startswith("[") and results[0].endswith("]"):
        return [str([results[0]])]
    return results


def line(value: Any) -> str:
    """A value as one line of a JSONL file."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
