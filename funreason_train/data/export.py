"""The two exports of the same steps: LLaMA-Factory's sharegpt JSON, and verl's parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..calls.markers import THINK_OPEN
from ..dialogue import Message, Step, render_target
from ..run.paths import write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from ..environments.tasks import Task

SIDES = ("train", "val")
_FROM = {"user": "human", "assistant": "gpt", "tool": "observation"}
_ROW_GROUP = 256  # rows: verl's and datasets' readers fail on nested columns in very large groups


def sft_messages(row: dict[str, Any]) -> tuple[list[Message], str]:
    """The prompt's messages and the whole target of a row of `sft_lines`, for whoever reads the export."""
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


def sft_lines(steps: Sequence[Step]) -> str:
    """Steps as LLaMA-Factory reads them: `{"id", "system", "conversations"}`; the last message is the target.

    Args:
        steps: Their messages start with the system message and alternate from there.

    Returns:
        One JSON object a line, each with a comma behind it; a text that several steps share is encoded once.
    """
    written: dict[str, str] = {}

    def quote(text: str) -> str:
        if (found := written.get(text)) is None:
            found = written[text] = json.dumps(text, ensure_ascii=False)
        return found

    def message(who: str, text: str) -> str:
        return f'{{"from": "{who}", "value": {quote(text)}}}'

    lines = []
    for step in steps:
        said = [message(_FROM[one["role"]], str(one["content"])) for one in step.messages[1:]]
        said.append(message("gpt", THINK_OPEN + render_target(step.thought, step.answer)))
        system = quote(step.messages[0]["content"])
        lines.append(
            f'{{"id": {quote(step.id)}, "system": {system}, "conversations": [{", ".join(said)}]}},\n'
        )
    return "".join(lines)


class SftWriter:
    """Writes `sft/{train,val}.json`, one row a line inside one JSON list.

    Args:
        folder: `…/sft`.
        side: `train` or `val`.
    """

    def __init__(self, folder: Path, side: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{side}.json"
        self._held = b""  # the comma after the last row must not be written
        write_json(folder / "dataset_info.json", dataset_info())

    def __enter__(self) -> SftWriter:
        self._file = self._path.open("wb")
        self._file.write(b"[\n")
        return self

    def write(self, lines: bytes) -> None:
        """Appends rows, as `sft_lines` writes them, in UTF-8."""
        if lines:
            self._file.write(self._held)
            self._file.write(memoryview(lines)[:-2])
            self._held = lines[-2:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.write(b"\n]\n" if self._held else b"]\n")
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


@lru_cache(maxsize=2)
def rl_schema(tasks: bool = False) -> pa.Schema:
    """The columns that verl reads.

    Args:
        tasks: Whether `extra_info` holds an executable task as well.
    """
    import pyarrow as pa

    text, count = pa.string(), pa.int64()
    info = [("index", count), ("id", text), ("prompt_tokens", count), ("target_tokens", count)]
    info += [("task", text)] if tasks else []
    return pa.schema(
        [
            ("data_source", text),
            ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("ability", text),
            ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pa.struct([*info, ("answer", text), ("meta", text)])),
        ]
    )


def rl_table(
    steps: Sequence[Step],
    first: int,
    lengths: Sequence[tuple[int, int] | None],
    tasks: Sequence[str] | None = None,
) -> pa.Table:
    """Steps as verl reads them.

    Args:
        steps: The steps.
        first: The number of the first one in its file.
        lengths: Tokens of prompt and target of each, or None where they were not measured.
        tasks: For the environment file: the executable task of each as JSON text; the step opens it.
    """
    import pyarrow as pa

    schema = rl_schema(tasks is not None)

    def struct(column: str, values: Mapping[str, Sequence[Any]]) -> pa.Array:
        fields = list(schema.field(column).type)
        return pa.StructArray.from_arrays(
            [pa.array(values[field.name], field.type) for field in fields], fields=fields
        )

    messages = [message for step in steps for message in step.messages]
    message_type = list(schema.field("prompt").type.value_type)
    said = pa.StructArray.from_arrays(
        [
            pa.array([message["role"] for message in messages], pa.string()),
            pa.array([str(message["content"]) for message in messages], pa.string()),
        ],
        fields=message_type,
    )
    ends = list(accumulate((len(step.messages) for step in steps), initial=0))
    prompts = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), said)
    columns = [
        pa.array([step.source for step in steps], pa.string()),
        prompts.cast(schema.field("prompt").type),
        pa.array(["function_calling"] * len(steps), pa.string()),
        struct(
            "reward_model",
            {"style": ["rule"] * len(steps), "ground_truth": [ground_truth(step) for step in steps]},
        ),
        struct(
            "extra_info",
            {
                "index": range(first, first + len(steps)),
                "id": [step.id for step in steps],
                "prompt_tokens": [pair[0] if pair else None for pair in lengths],
                "target_tokens": [pair[1] if pair else None for pair in lengths],
                "task": tasks or (),
                "answer": [step.answer for step in steps],
                "meta": [json.dumps(dict(step.meta), ensure_ascii=False, sort_keys=True) for step in steps],
            },
        ),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


class RlWriter:
    """Writes `rl/{train,val}.parquet`, or `rl/env_{train,val}.parquet`, in small row groups.

    Args:
        folder: `…/rl`.
        side: `train` or `val`.
        tasks: Whether the rows are executable tasks; without a row there is no such file.
    """

    def __init__(self, folder: Path, side: str, tasks: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{'env_' if tasks else ''}{side}.parquet"
        self._tasks, self.rows = tasks, 0

    def __enter__(self) -> RlWriter:
        import pyarrow.parquet as pq

        schema = rl_schema(self._tasks)
        self._waiting = schema.empty_table()
        self._writer = pq.ParquetWriter(
            self._path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=["data_source", "ability", "prompt.list.element.role", "reward_model.style"],
            write_statistics=False,
        )
        return self

    def write(self, table: pa.Table) -> None:
        """Appends the rows of an `rl_table`; groups have one size, however the rows come."""
        import pyarrow as pa

        self.rows += len(table)
        self._waiting = pa.concat_tables([self._waiting, table])
        whole = len(self._waiting) // _ROW_GROUP * _ROW_GROUP
        for start in range(0, whole, _ROW_GROUP):
            self._writer.write_table(self._waiting.slice(start, _ROW_GROUP).combine_chunks())
        self._waiting = self._waiting.slice(whole)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.write_table(self._waiting.combine_chunks())
        self._writer.close()
        if self._tasks and not self.rows:
            self._path.unlink()


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
