"""Rows out of files, folders and the hub: streamed in bounded memory, damaged rows told apart."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...errors import UserError
from .rows import RowError

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SPACE = re.compile(r"[\s,]*")
_ROW_LINE = re.compile(r"\n(?=[{\[])")
_CHUNK = 1 << 20
_LARGEST = 1 << 26  # characters: a single row beyond this is taken for damaged

#: A row's position, and the row itself, or why it cannot be read together with the bytes or text at fault.
Record = tuple[str, Any]


class Unreadable:
    """A row that is not even JSON.

    Args:
        error: Why.
        raw: What stands there instead.
    """

    def __init__(self, error: RowError, raw: bytes | str = "") -> None:
        self.error, self.raw = error, raw


class Unparsed:
    """A row as its line stands in the file, for whoever has the time to parse it.

    Args:
        line: The line.
    """

    __slots__ = ("line",)

    def __init__(self, line: bytes) -> None:
        self.line = line

    def parsed(self) -> Any:
        """The row; an `Unreadable` where the line is damaged."""
        try:
            return loads(self.line.decode("utf-8"))
        except UnicodeDecodeError as error:
            return Unreadable(RowError("encoding", f"byte {error.start} of the line is not UTF-8"), self.line)
        except RowError as error:
            return Unreadable(error, self.line)


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
                "the folder holds no data file", where=path, mend=f"Known kinds are {', '.join(SUFFIXES)}"
            )
        return files
    if here.is_file():
        if not _known(here):
            raise UserError(
                "this kind of file is not read", where=path, mend=f"Known kinds are {', '.join(SUFFIXES)}"
            )
        return [here]
    if _HUB_ID.fullmatch(path) and not path.endswith(SUFFIXES):
        return None
    raise UserError(
        "there is no such file or folder",
        where=path,
        mend="Give a local file, a folder of files, or a hub id OWNER/NAME",
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
        name = name.encode("utf-8", "backslashreplace").decode()  # of bytes that are no UTF-8
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
            yield from _lines(stream, name) if ".jsonl" in kind else _Values(stream, name)
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
            raise RowError("damaged_file", f"this is no text; by its content its name should end in {ending}")


def _lines(stream: BinaryIO, name: str) -> Iterator[Record]:
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        yield f"{name}:{number}", Unparsed(line)


class _Values:
    """The elements of one JSON array, or JSON values that follow each other, without holding the whole file.

    A malformed value costs itself alone where each row begins a line; otherwise the rest of the file.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text, self._at, self._ended = "", 0, False

    def _more(self) -> bool:
        """Reads on, forgetting what has been used; false at the end of the file."""
        if not self._ended:
            chunk = self._stream.read(max(_CHUNK, len(self._text) - self._at))
            self._ended = not chunk
            if chunk:
                self._text, self._at = self._text[self._at :] + self._decode(chunk), 0
            else:  # nothing is forgotten, so that positions stay what they are
                self._text += self._decode(b"", True)
        return not self._ended

    def _next_is(self, mark: str) -> bool:
        """Skips white space and commas; whether `mark` is what follows."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text.startswith(mark, self._at)

    def _value(self) -> Any:
        """The value that begins here, or an `Unreadable`."""
        while True:
            start = self._at
            try:
                value, end = _DECODER.raw_decode(self._text, start)
            except (ValueError, RecursionError, RowError) as error:
                cut = isinstance(error, json.JSONDecodeError) and (
                    error.msg.startswith("Unterminated") or error.pos >= len(self._text) - 16
                )
                if cut and len(self._text) - start < _LARGEST and self._more():
                    continue
                raw = self._text[self._at : self._at + 2000]
                self._resume()
                return Unreadable(_problem(error), raw)
            number = not isinstance(value, (str, list, dict))
            if number and end > len(self._text) - 4 and self._more():
                continue  # it may go on, as in 1 -> 1e+5
            raw, self._at = self._text[start:end], end
            if not raw.isascii() and not _is_utf8(raw):
                return Unreadable(RowError("encoding", "the row holds bytes that are not UTF-8"), raw)
            return value

    def _resume(self) -> None:
        """Goes to the next line that begins like a row, or to the end."""
        self._at += 1
        while (found := _ROW_LINE.search(self._text, self._at)) is None:
            self._at = max(self._at, len(self._text) - 1)
            if not self._more():
                self._at = len(self._text)
                return
        self._at = found.end()

    def _done(self) -> bool:
        self._next_is("")
        return self._at >= len(self._text)

    def __iter__(self) -> Iterator[Record]:
        self._more()
        self._text = self._text.removeprefix("\ufeff")
        array = self._next_is("[")
        self._at += array
        number, value = 0, None
        while not self._done() and not (array and self._next_is("]")):
            value = self._value()
            yield f"{self._name}[{number}]", value
            number += 1
        if not array:
            return
        end = f"{self._name}[{number}]"
        if self._done() and not isinstance(value, Unreadable):
            yield end, Unreadable(RowError("damaged_file", "the file ends before its list does"))
        self._at += 1
        if not self._done():
            yield (
                end,
                Unreadable(
                    RowError("damaged_file", "text follows the end of the list"),
                    self._text[self._at :][:2000],
                ),
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
    ):  # bytes that are no text in a text column, a date beyond all calendars
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
        beyond = f" beyond row {number}" if number else ""
        unset = "" if os.environ.get("HF_TOKEN") else " (not set now)"
        raise UserError(
            f"the data set cannot be read from the hub{beyond} ({type(error).__name__})",
            where=name,
            mend="There is no local file or folder of that name. "
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


def loads(text: str, distinct: bool = False) -> Any:
    """JSON text as a value, strictly.

    Args:
        text: The text.
        distinct: Whether a key that stands twice in an object is refused, and not the last one taken.

    Raises:
        RowError: `invalid_json`, `not_finite`, `nested_too_deeply` or `duplicate_key`.
    """
    try:
        return (_DISTINCT if distinct else _DECODER).decode(text)
    except (ValueError, RecursionError) as error:
        raise _problem(error) from None


def _not_finite(name: str) -> Any:
    raise RowError("not_finite", f"{name} is not a JSON number")


def _problem(error: Exception) -> RowError:
    if isinstance(error, RowError):
        return error
    if isinstance(error, RecursionError):
        return RowError("nested_too_deeply")
    return RowError("invalid_json", str(error)[:200])


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RowError("duplicate_key", f"the key {key!r:.60} stands twice in one object")
    return found


_DISTINCT = json.JSONDecoder(parse_constant=_not_finite, object_pairs_hook=_distinct)
_DECODER = json.JSONDecoder(parse_constant=_not_finite)
