"""Shorthand for scoring answers in the tests of the reward."""

from __future__ import annotations

import json
from typing import Any

from funreason_train.calls import Call, render_calls
from funreason_train.reward import compute_score

TOOLS: list[dict[str, Any]] = [
    {
        "name": "book",
        "description": "Books a room.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "nights": {"type": "integer"},
                "price": {"type": "number"},
                "pets": {"type": "boolean", "default": False},
                "dates": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["city"],
        },
    },
    {"name": "pwd", "description": "", "parameters": {"type": "object", "properties": {}}},
    {"name": "cancel", "description": "", "parameters": {"type": "object", "properties": {}}},
]


def truth(*gold: Call, tools: list[dict[str, Any]] = TOOLS) -> str:
    """A ground truth as the export writes it."""
    return json.dumps({"calls": [call.to_json() for call in gold], "tools": tools})


def row(*gold: Call, tools: list[dict[str, Any]] = TOOLS) -> dict[str, Any]:
    """A row of an RL export."""
    return {
        "data_source": "test",
        "reward_model": {"style": "rule", "ground_truth": truth(*gold, tools=tools)},
    }


def judge(answer: str | list[Call], *gold: Call, **options: Any) -> dict[str, float]:
    """The result of an answer given after a proper thought."""
    text = answer if isinstance(answer, str) else render_calls(answer)
    return compute_score("test", f"\nI think.\n</think>\n\n{text}", truth(*gold), None, **options)


def score(answer: str | list[Call], *gold: Call, **options: Any) -> float:
    return judge(answer, *gold, **options)["score"]
