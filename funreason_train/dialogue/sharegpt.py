"""The sharegpt rows that LLaMA-Factory and this project's own tokeniser read, and how to read them back."""

from __future__ import annotations

from typing import Any

from .messages import Message

SIDES = ("train", "val")
#: A message's role as LLaMA-Factory's sharegpt form names it.
FROM = {"user": "human", "assistant": "gpt", "tool": "observation"}


def sft_messages(row: dict[str, Any]) -> tuple[list[Message], str]:
    """The prompt's messages and the whole target of a row of the export, for whoever reads the export."""
    roles = {name: role for role, name in FROM.items()}
    messages: list[Message] = [{"role": "system", "content": row["system"]}]
    for one in row["conversations"][:-1]:
        messages.append({"role": roles[one["from"]], "content": one["value"]})  # type: ignore[typeddict-item]
    return messages, row["conversations"][-1]["value"]


def dataset_info() -> dict[str, Any]:
    """LLaMA-Factory's `dataset_info.json`: the data sets `train` and `val`, files beside it."""
    return {
        side: {
            "file_name": f"{side}.json",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system"},
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "observation_tag": "observation",
            },
        }
        for side in SIDES
    }
