"""The two exports of the same steps: LLaMA-Factory's sharegpt JSON, and verl's parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..calls.markers import THINK_OPEN
from ..dialogue import Message, Step, render_target
from ..run.paths import write_json

if TYPE_CHECKING:
    from ..environments.tasks import Task

SIDES = ("train", "val")
_FROM = {"user": "human", "assistant": "gpt", "tool": "observation"}
_ROW_GROUP = 256  # rows: verl's and datasets' readers fail on nested columns in very large groups


def sft_row(step: Step) -> dict[str, Any]:
    """A step as LLaMA-Factory reads it: the last message is the target, with its thought.

    Args:
        step: Messages start with the system message and alternate from there.
    """
    target = THINK_OPEN + render_target(step.thought, step.answer)
    return {
        "id": step.id,
        "system": step.messages[0]["content"],
        "conversations": [
            *(
                {"from": _FROM[message["role"]], "value": str(message["content"])}
                for message in step.messages[1:]
            ),
            {"from": "gpt", "value": target},
        ],
    }


def sft_messages(row: dict[str, Any]) -> tuple[list[Message], str]:
    """The prompt's messages and the whole target of an `sft_row`, for whoever reads the export."""
    roles = {name: role for role, name in _FROM.items()}
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


class SftWriter:
    """Writes `sft/{train,val}.json`, one row a line inside one JSON list.

    Args:
        folder: `…/sft`.
        side: `train` or `val`.
    """

    def __init__(self, folder: Path, side: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._path = folder / f"{side}.json"
        write_json(folder / "dataset_info.json", dataset_info())

    def __enter__(self) -> SftWriter:
        self._file = self._path.open("w", encoding="utf-8")
        self._file.write("[")
        return self

    def write(self, step: Step) -> None:
        """Appends one step."""
        self._file.write((",\n" if self.rows else "\n") + json.dumps(sft_row(step), ensure_ascii=False))
        self.rows += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.write("\n]\n")
        self._file.close()


def ground_truth(step: Step) -> str:
    """The reward's ground truth: JSON text of the gold calls and the offered tools."""
    calls = json.dumps([call.to_json() for call in step.calls], ensure_ascii=False, allow_nan=False)
    return f'{{"calls": {calls}, "tools": {_tools_json(_ById(step.tools))}}}'


class _ById:
    """A conversation's tools, hashed by identity: all its steps hold the same object."""

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self.tools = tools

    def __hash__(self) -> int:
        return id(self.tools)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and self.tools is other.tools


@lru_cache(maxsize=1)
def _tools_json(key: _ById) -> str:
    return json.dumps(list(key.tools), ensure_ascii=False, allow_nan=False)


def rl_row(step: Step, index: int, lengths: tuple[int, int] | None) -> dict[str, Any]:
    """A step as verl reads it.

    Args:
        step: The step.
        index: Its number in the file.
        lengths: Tokens of prompt and target, or None when they were not measured.
    """
    prompt, target = lengths or (None, None)
    return {
        "data_source": step.source,
        "prompt": [{"role": one["role"], "content": str(one["content"])} for one in step.messages],
        "ability": "function_calling",
        "reward_model": {"style": "rule", "ground_truth": ground_truth(step)},
        "extra_info": {
            "index": index,
            "id": step.id,
            "prompt_tokens": prompt,
            "target_tokens": target,
            "answer": step.answer,
            "meta": json.dumps(dict(step.meta), ensure_ascii=False, sort_keys=True),
        },
    }


class RlWriter:
    """Writes `rl/{train,val}.parquet` in small row groups.

    Args:
        folder: `…/rl`.
        side: `train` or `val`.
    """

    def __init__(self, folder: Path, side: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._path = folder / f"{side}.parquet"
        self._waiting: list[dict[str, Any]] = []

    def __enter__(self) -> RlWriter:
        import pyarrow as pa
        import pyarrow.parquet as pq

        text, count = pa.string(), pa.int64()
        message = pa.struct([("role", text), ("content", text)])
        info = [("index", count), ("id", text), ("prompt_tokens", count), ("target_tokens", count)]
        self._schema = pa.schema(
            [
                ("data_source", text),
                ("prompt", pa.list_(message)),
                ("ability", text),
                ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
                ("extra_info", pa.struct([*info, ("answer", text), ("meta", text)])),
            ]
        )
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def write(self, step: Step, lengths: tuple[int, int] | None) -> None:
        """Appends one step."""
        self._waiting.append(rl_row(step, self.rows, lengths))
        self.rows += 1
        if len(self._waiting) == _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting or not self.rows:
            self._flush()
        self._writer.close()


def write_tasks(path: Path, tasks: Iterable[Task]) -> int:
    """Writes executable tasks, one a line, and returns how many.

    Args:
        path: `…/tasks/SPLIT.jsonl`.
        tasks: See `funreason_train.environments.tasks`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for task in tasks:
            file.write(json.dumps(task.to_json(), ensure_ascii=False) + "\n")
            count += 1
    return count
