"""Rows out of files, folders and the hub: streamed in bounded memory, damaged rows told apart."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...errors import UserError
from ...models.hub import refusal
from .json_files import Record, Unparsed, Unreadable, Values, is_row_a_line, lines
from .rows import RowError

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def locate(path: str) -> list[Path] | None:
    """The local files that `path` stands for, or None if it is a hub id.

    Args:
        path: A file, a folder of files, or a hub id.

    Raises:
        UserError: if there is nothing there, or a folder holds no file of a known kind.
    """
    here = Path(path).expanduser()
    if here.is_dir():
        files = sorted(file for file in here.rglob("*") if _known(file) and file.is_file())
        files = [
            file for file in files if not any(part.startswith(".") for part in file.parts[len(here.parts) :])
        ]
        if not files:
            raise UserError(
                "the folder holds no data file", where=path, fix=f"Known kinds are {', '.join(SUFFIXES)}"
            )
        return files
    if here.is_file():
        if not _known(here):
            raise UserError(
                "this kind of file is not read", where=path, fix=f"Known kinds are {', '.join(SUFFIXES)}"
            )
        return [here]
    if _HUB_ID.fullmatch(path) and not path.endswith(SUFFIXES):
        return None
    raise UserError(
        "there is no such file or folder",
        where=path,
        fix="Give a local file, a folder of files, or a hub id OWNER/NAME",
    )


def _known(file: Path) -> bool:
    return file.name.lower().endswith(SUFFIXES)


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
        yield from _hub(path, split, hub_file)
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
    if kind.endswith(".parquet"):
        yield from _parquet(file, name)
        return
    try:
        with cast(BinaryIO, (gzip.open if kind.endswith(".gz") else open)(file, "rb")) as stream:
            _refuse(stream.read(4))
            stream.seek(0)
            a_line = ".jsonl" in kind and is_row_a_line(stream)
            yield from lines(stream, name) if a_line else Values(stream, name)
    except (OSError, EOFError, zlib.error) as error:
        yield name, Unreadable(RowError("damaged_file", f"{type(error).__name__}: {error}"))
    except RowError as error:
        yield name, Unreadable(error)


def _refuse(head: bytes) -> None:
    """Tells what a file is by its first bytes where it cannot be text in UTF-8.

    Raises:
        RowError: `encoding`, `damaged_file`.
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise RowError("encoding", "the file is UTF-16 or UTF-32; save it as UTF-8")
    for magic, ending in ((b"\x1f\x8b", ".gz"), (b"PAR1", ".parquet")):
        if head.startswith(magic):
            raise RowError(
                "damaged_file", f"this is not text; by its content its name should end in {ending}"
            )


def _parquet(file: Path, name: str) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=256):
                for row in _batch_rows(batch):
                    yield f"{name}[{number}]", row
                    number += 1
    except (pa.ArrowException, OSError) as error:
        yield (
            f"{name}[{number}]",
            Unreadable(RowError("damaged_file", f"{type(error).__name__}: {error}")),
        )


def _batch_rows(batch: Any) -> Iterator[Any]:
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


def _hub(name: str, split: str, file: str | None) -> Iterator[Record]:
    import datasets

    number = 0
    try:
        for row in datasets.load_dataset(name, split=split, streaming=True):
            yield f"{name}[{number}]", row
            number += 1
    except Exception as error:  # the hub client has a dozen kinds of failure, all of which mean the same here
        if known := refusal(name, error, "data set"):
            raise known from None
        beyond = f" beyond row {number}" if number else ""
        unset = "" if os.environ.get("HF_TOKEN") else " (not set now)"
        raise UserError(
            f"the data set cannot be read from the hub{beyond} ({type(error).__name__})",
            where=name,
            fix="There is no local file or folder of that name. "
            * (not number)
            + f"If it is gated, accept its terms on https://huggingface.co/datasets/{name} and put a token"
            f" into the environment variable HF_TOKEN{unset}; without a network, download"
            f" {file or 'its file of ' + ', '.join(SUFFIXES)} from there on another machine and give the"
            " local file as path",
        ) from error


def fingerprint(path: str) -> dict[str, str]:
    """SHA-256 of each file that `path` stands for; empty for a hub id."""
    digests = {}
    for file in locate(path) or []:
        with file.open("rb") as stream:
            digests[str(file)] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests
