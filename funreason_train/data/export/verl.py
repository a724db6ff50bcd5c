"""The same steps as verl's parquet.

A conversation's steps repeat its history and its tools. Workers therefore hand over an `RlBatch`, where each
text stands once; `RlWriter` writes it out wherever verl expects it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import is_
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...dialogue import Message, Step
from ...plain import once

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP = 256  # rows: verl's and datasets' readers fail on nested columns in very large groups
_plain_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_sorted_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


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


@once(8192)
def _tool_json(tool: Mapping[str, Any]) -> str:
    return _plain_json(tool)


@dataclass
class RlBatch:
    """Rows, each repeated text once.

    Attributes:
        tasks: Whether `extra_info` holds an executable task as well.
        roles: Of the distinct messages.
        contents: Of the distinct messages.
        said: Numbers of the messages of all prompts, one prompt after the other.
        ends: Where each prompt begins in `said`, and where the last one ends.
        toolsets: The distinct tool lists as JSON text.
        offered: The number of each row's tool list.
        calls: Each row's gold calls as JSON text.
        source: Each row's data set.
        extra: The fields of `extra_info`.
    """

    tasks: bool = False
    roles: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    said: array[int] = field(default_factory=lambda: array("i"))
    ends: array[int] = field(default_factory=lambda: array("i", [0]))
    toolsets: list[str] = field(default_factory=list)
    offered: array[int] = field(default_factory=lambda: array("i"))
    calls: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    extra: dict[str, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.source)


def rl_batch(
    steps: Sequence[Step],
    first: int,
    lengths: Sequence[tuple[int, int] | None],
    tasks: Sequence[str] | None = None,
) -> RlBatch:
    """Steps as rows for verl.

    Args:
        steps: The steps.
        first: The number of the first one in its file.
        lengths: Tokens of prompt and target of each, or None where they were not measured.
        tasks: For the environment file: the executable task of each as JSON text; the step opens it.
    """
    batch = RlBatch(tasks is not None)
    shown: tuple[Message, ...] = ()
    numbers = array("i")
    tools: Any = None
    meta: tuple[Any, str] = (None, "")
    metas = []
    for step in steps:
        if len(step.messages) < len(shown) or not all(map(is_, shown, step.messages)):
            shown, numbers = (), array("i")
        for message in step.messages[len(shown) :]:
            numbers.append(len(batch.roles))
            batch.roles.append(message["role"])
            batch.contents.append(str(message["content"]))
        shown = step.messages
        batch.said.extend(numbers)
        batch.ends.append(len(batch.said))
        if step.tools is not tools:
            tools = step.tools
            batch.toolsets.append(f"[{', '.join(map(_tool_json, tools))}]")
        batch.offered.append(len(batch.toolsets) - 1)
        batch.calls.append(_plain_json([call.to_json() for call in step.calls]))
        if step.meta is not meta[0]:
            meta = step.meta, _sorted_json(dict(step.meta))
        metas.append(meta[1])
    batch.source = [step.source for step in steps]
    batch.extra = {
        "index": range(first, first + len(steps)),
        "id": [step.id for step in steps],
        "prompt_tokens": [pair[0] if pair else None for pair in lengths],
        "target_tokens": [pair[1] if pair else None for pair in lengths],
        "answer": [step.answer for step in steps],
        "meta": metas,
    }
    if tasks is not None:
        batch.extra["task"] = tasks
    return batch


def rl_table(batch: RlBatch) -> pa.Table:
    """The rows as verl reads them, every text written out.

    `ground_truth` is JSON text of the gold calls and the offered tools: `{"calls": […], "tools": […]}`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = rl_schema(batch.tasks)

    def struct(kind: Any, values: Mapping[str, Any]) -> pa.Array:
        arrays = [
            value if isinstance(value, pa.Array) else pa.array(value, one.type)
            for one, value in ((one, values[one.name]) for one in kind)
        ]
        return pa.StructArray.from_arrays(arrays, fields=list(kind))

    def numbers(values: array[int]) -> pa.Array:
        return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])

    prompt, gold = schema.field("prompt").type, schema.field("reward_model").type
    messages = struct(prompt.value_type, {"role": batch.roles, "content": batch.contents})
    tools = pa.array(batch.toolsets, pa.string()).take(numbers(batch.offered))
    calls = pa.array(batch.calls, pa.string())
    truths = pc.binary_join_element_wise('{"calls": ', calls, ', "tools": ', tools, "}", "")
    columns = [
        pa.array(batch.source, pa.string()),
        pa.ListArray.from_arrays(numbers(batch.ends), messages.take(numbers(batch.said))).cast(prompt),
        pa.array(["function_calling"] * len(batch), pa.string()),
        struct(gold, {"style": ["rule"] * len(batch), "ground_truth": truths}),
        struct(schema.field("extra_info").type, batch.extra),
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

    def write(self, batch: RlBatch) -> None:
        """Appends rows; groups have one size, however the rows come."""
        import pyarrow as pa

        self.rows += len(batch)
        self._waiting = pa.concat_tables([self._waiting, rl_table(batch)])
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
