"""Every row of a data set, wherever it lies; a file's content decides before its name."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..rows import RowError
from .delimited import delimited_rows
from .hub import hub_rows
from .json_files import Record, Unparsed, Unreadable, Values, is_row_a_line, lines
from .places import locate
from .tables import ARROW, table_rows
from .text_stream import text_stream

_A_LINE = (".jsonl", ".ndjson", ".jsonlines")  # names of files that should have a row a line


def records(
    path: str, *, split: str = "train", hub_file: str | None = None, parse: bool = True
) -> Iterator[Record]:
    """Every row of a file, a folder or a hub data set.

    Args:
        path: See `locate`.
        split: The split to read from the hub.
        hub_file: The file there that can be downloaded by hand, for the sentence that says so.
        parse: Whether the lines of JSON-lines files are parsed here; they are `Unparsed` otherwise.

    Yields:
        Position and row; the row is an `Unreadable` where the data is damaged.

    Raises:
        UserError: if the data set cannot be opened at all.
    """
    files = locate(path)
    if files is None:
        yield from hub_rows(path, split, hub_file)
        return
    here = Path(path).expanduser()
    for file in files:
        name = file.relative_to(here).as_posix() if file != here else file.name
        name = name.encode("utf-8", "backslashreplace").decode()  # of bytes that are not UTF-8
        for position, row in _file(file, name):
            yield position, row.parsed() if parse and isinstance(row, Unparsed) else row


def _file(file: Path, name: str) -> Iterator[Record]:
    """Rows of a file; `name` is what positions call it."""
    kind = file.name.lower()
    try:
        with file.open("rb") as stream:
            head = stream.read(len(ARROW))
        if head.startswith(b"PAR1") or kind.endswith((".parquet", ".pq")):
            yield from table_rows(file, name, arrow=False)
        elif head.startswith(ARROW) or kind.endswith((".arrow", ".feather")):
            yield from table_rows(file, name, arrow=True)
        else:
            yield from _text(file, name, kind)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        yield name, Unreadable(RowError("damaged_file", f"{type(error).__name__}: {error}"))
    except UnicodeDecodeError as error:  # of a text that is not in UTF-8
        yield (
            name,
            Unreadable(RowError("encoding", f"the file is {error.encoding}, and damaged: {error.reason}")),
        )
    except RowError as error:
        yield name, Unreadable(error)


def _text(file: Path, name: str, kind: str) -> Iterator[Record]:
    if ".csv" in kind or ".tsv" in kind:
        with text_stream(file) as stream:
            yield from delimited_rows(stream, name, "\t" if ".tsv" in kind else None)
        return
    a_line = False
    if any(ending in kind for ending in _A_LINE):
        with text_stream(file) as stream:
            a_line = is_row_a_line(stream)
    with text_stream(file) as stream:
        yield from lines(stream, name) if a_line else Values(stream, name)
