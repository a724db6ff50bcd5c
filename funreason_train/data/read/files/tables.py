"""Rows of Parquet and Arrow files (Feather is Arrow)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..rows import RowError
from .json_files import Record, Unreadable

ARROW = b"ARROW1"  # how an Arrow file begins; a stream of Arrow batches has no mark


def table_rows(file: Path, name: str, *, arrow: bool) -> Iterator[Record]:
    """Every row, in batches.

    Args:
        file: The file.
        name: What positions call it.
        arrow: Whether it is Arrow, and not Parquet.
    """
    import pyarrow as pa

    number = 0
    try:
        for batch in _arrow(file) if arrow else _parquet(file):
            if twice := [one for one, times in Counter(batch.schema.names).items() if times > 1]:
                # Of its values a row would hold the last alone.
                error = RowError("row_shape", f"several columns have the name {twice[0]!r:.60}")
                yield name, Unreadable(error)
                return
            for row in _rows(batch):
                yield f"{name}[{number}]", row
                number += 1
    except (pa.ArrowException, OSError) as error:
        detail = f"{type(error).__name__}: {error}"[:300]
        yield f"{name}[{number}]", Unreadable(RowError("damaged_file", detail))


def _parquet(file: Path) -> Iterable[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        yield from parquet.iter_batches(batch_size=256)


def _arrow(file: Path) -> Iterable[Any]:
    """The batches of an Arrow file, or of a stream as `datasets` writes it, cut into small ones."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        whole = source.read(len(ARROW)) == ARROW
        source.seek(0)
        if whole:
            opened = pa.ipc.open_file(source)
            batches: Iterable[Any] = map(opened.get_batch, range(opened.num_record_batches))
        else:
            batches = pa.ipc.open_stream(source)
        for batch in batches:
            yield from (batch.slice(start, 256) for start in range(0, len(batch), 256))


def _rows(batch: Any) -> Iterator[Any]:
    """The rows of an Arrow batch; one that Python cannot hold as an `Unreadable`."""
    try:
        yield from batch.to_pylist()
        return
    except (
        ValueError,
        OverflowError,
    ):  # bytes that are not text in a text column, a date beyond all calendars
        pass
    for number in range(len(batch)):
        row = batch.slice(number, 1)
        try:
            yield row.to_pylist()[0]
        except UnicodeDecodeError as error:
            yield Unreadable(
                RowError("encoding", f"a text column holds bytes that are not UTF-8: {error.reason}")
            )
        except (ValueError, OverflowError) as error:
            yield Unreadable(RowError("damaged_file", f"{type(error).__name__}: {error}"[:200]))
