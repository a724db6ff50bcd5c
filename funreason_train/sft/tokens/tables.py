"""Tokens in Arrow files: the columns of each form that rows take on their way to the trainer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...models.attention.tree import ANSWER, THOUGHT, Line, TreeRow
from .packing import IGNORED

if TYPE_CHECKING:
    import pyarrow as pa


class TokenRow(NamedTuple):
    """A row as it comes from the tokenizer.

    Attributes:
        ids: Its tokens.
        prompt: How many of them are the prompt, `<think>` included.
        learned: Where learning begins.
        answer: Where the answer behind the thought begins; `learned` where nobody asked.
        name: Its id, or what stands for it in a message.
    """

    ids: list[int]
    prompt: int
    learned: int
    answer: int
    name: str


#: Columns of lists, and of single numbers or texts, with their types.
LONG = {"input_ids": "int32", "attention_mask": "int32", "labels": "int32"}
PACKED = {"input_ids": "int32", "attention_mask": "int32", "position_ids": "int32", "labels": "int32"}
SEGMENTS = {"segments": "int8"}
TREE = dict.fromkeys(("input_ids", "position_ids", "ends", "places", "labels"), "int32") | SEGMENTS
RAW = {"input_ids": "int32"}
RAW_SCALARS = {"prompt": "int32", "learned": "int32", "answer": "int32", "name": "string"}
TREE_SCALARS = {"rows": "int32", "split": "int32"}


def schema(lists: Mapping[str, str], scalars: Mapping[str, str] | None = None) -> pa.Schema:
    """The Arrow schema of these columns."""
    import pyarrow as pa

    return pa.schema(
        [(name, pa.list_(pa.type_for_alias(kind))) for name, kind in lists.items()]
        + [(name, pa.type_for_alias(kind)) for name, kind in (scalars or {}).items()]
    )


@contextmanager
def writing(file: str | Path, form: pa.Schema) -> Iterator[Any]:
    """A function that appends rows, each a mapping, to a new Arrow stream."""
    import pyarrow as pa

    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, form) as writer:

        def write(rows: Sequence[Mapping[str, Any]]) -> None:
            arrays = [pa.array([row[one.name] for row in rows], type=one.type) for one in form]
            writer.write_batch(pa.record_batch(arrays, schema=form))

        yield write


def batches(shards: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """The record batches of several Arrow streams."""
    import pyarrow as pa

    for shard in shards:
        with pa.memory_map(shard) as source:
            yield from pa.ipc.open_stream(source)


def plain(row: TokenRow, segments: bool) -> dict[str, list[int]]:
    """A row as the trainer takes it.

    Args:
        row: The row.
        segments: Whether to say of each token whether it is of a thought (1) or an answer (2); 0 elsewhere.
    """
    count = len(row.ids)
    columns = {
        "input_ids": row.ids,
        "attention_mask": [1] * count,
        "labels": [IGNORED] * row.learned + row.ids[row.learned :],
    }
    if segments:
        columns["segments"] = (
            [0] * row.learned + [THOUGHT] * (row.answer - row.learned) + [ANSWER] * (count - row.answer)
        )
    return columns


def raw(row: TokenRow) -> dict[str, Any]:
    """A row that trees are going to be made of."""
    return {
        "input_ids": row.ids,
        "prompt": row.prompt,
        "learned": row.learned,
        "answer": row.answer,
        "name": row.name,
    }


class NamedRow(NamedTuple):
    """A row that trees are made of, read back.

    Attributes:
        row: Its tokens.
        prompt: How many tokens its prompt has.
        name: Its id.
    """

    row: TreeRow
    prompt: int
    name: str


def named(shards: Iterable[str]) -> Iterator[NamedRow]:
    """The rows that `raw` wrote, in their order."""
    import numpy

    for batch in batches(shards):
        columns = [batch[name].to_pylist() for name in RAW_SCALARS]
        for ids, prompt, learned, answer, name in zip(batch["input_ids"], *columns, strict=True):
            tokens = ids.values.to_numpy()
            yield NamedRow(TreeRow(numpy.array(tokens), learned, answer), prompt, name)


def line(one: Line) -> dict[str, Any]:
    """A line of trees as the trainer takes it."""
    return {
        "input_ids": one.ids,
        "position_ids": one.positions,
        "ends": one.ends,
        "places": one.places,
        "labels": one.targets,
        "segments": one.segments,
        "rows": one.rows,
        "split": one.split,
    }
