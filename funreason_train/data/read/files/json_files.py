"""The rows of JSON and JSON-lines files; what a file holds decides, and not its name alone."""

from __future__ import annotations

import codecs
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..json_text import DECODER, LENIENT, is_utf8, json_problem, loads
from ..rows import RowError

_SPACE = re.compile(r"[\s,\ufeff]*")  # files that were put together have byte order marks inside
_ROW_LINE = re.compile(r"\n(?=[{\[])")
_CHUNK = 1 << 20
_LINE = 1 << 20  # bytes of a line that are looked at before a file is read
_BREAKS = ("[", "{", "},", "],")  # how the first line of a value on several lines ends
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
            return loads(self.line.removeprefix(codecs.BOM_UTF8).decode("utf-8"))
        except UnicodeDecodeError as error:
            return Unreadable(RowError("encoding", f"byte {error.start} of the line is not UTF-8"), self.line)
        except RowError as error:
            return Unreadable(error, self.line)


def is_row_a_line(stream: BinaryIO) -> bool:
    """Whether a file called JSON lines is that, and not one array, or values over several lines each.

    Its first line decides: a whole value is a row, unless it is a list of anything but messages; one that
    breaks off where a printed value goes on is the beginning of one.

    Args:
        stream: The file at its beginning; a part of it is read.
    """
    head = b""
    while not head.strip() and (line := stream.readline(_LINE)):
        head = line
    whole = head.endswith(b"\n")
    rest = b""
    try:
        while whole and not rest.strip() and (line := stream.readline(_LINE)):
            rest = line
    except (OSError, EOFError, zlib.error, lzma.LZMAError):  # damage is told where it is read
        pass
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if not text.startswith(("[", "{")):
        return True
    if len(head) == _LINE and not whole:  # too long to look at: its beginning has to do
        return not text.startswith("[") or _begins_with_message(text)
    try:
        value = LENIENT.decode(text)
    except RecursionError:
        return True
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            rest_of_line = text[error.pos :].strip()
            # The elements of an array without its brackets, or values that stand on one line.
            if rest_of_line == "," or rest_of_line.startswith(("{", "[")):
                return False
        return not text.endswith(_BREAKS)
    except ValueError:
        return True
    if not isinstance(value, list) or not value or rest.strip():
        return True
    return not isinstance(value[0], (dict, list)) or _is_message(value[0])


def _begins_with_message(text: str) -> bool:
    """Whether the first element of a list is a message, so that the list is one conversation."""
    start = _SPACE.match(text, 1).end()  # type: ignore[union-attr]
    try:
        return _is_message(LENIENT.raw_decode(text, start)[0])
    except (ValueError, RecursionError):
        return False


def _is_message(value: Any) -> bool:
    """Whether a value is a message of a conversation, and not a row."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = LENIENT.decode(value)
        except (ValueError, RecursionError):
            return False
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("role", value.get("from")), str):
        return True
    # LangChain names the speaker in `type`, or in the class that it was.
    return isinstance(value.get("type"), str) and not value.keys().isdisjoint(("data", "content", "lc"))


def rows_in(value: Any) -> list[Any]:
    """The rows that a line holds: the elements of a list of objects that are no messages, else itself."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and not _is_message(value[0]):
        return value
    return [value]


def lines(stream: BinaryIO, name: str) -> Iterator[Record]:
    for number, line in enumerate(stream, start=1):
        if not line.removeprefix(codecs.BOM_UTF8).strip():
            continue
        yield f"{name}:{number}", Unparsed(line)


class Values:
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
            refused: RowError | None = None
            try:
                try:
                    value, end = DECODER.raw_decode(self._text, start)
                except RowError as error:  # it is JSON, and ends where any reader ends
                    refused = error
                    value, end = LENIENT.raw_decode(self._text, start)
            except (ValueError, RecursionError) as error:
                cut = isinstance(error, json.JSONDecodeError) and (
                    error.msg.startswith("Unterminated") or error.pos >= len(self._text) - 16
                )
                if cut and len(self._text) - start < _LARGEST and self._more():
                    continue
                raw = self._text[self._at : self._at + 2000]
                self._resume()
                return Unreadable(json_problem(error), raw)
            number = not isinstance(value, (str, list, dict))
            if number and end > len(self._text) - 4 and self._more():
                continue  # it may go on, as in 1 -> 1e+5
            raw, self._at = self._text[start:end], end
            if refused is not None:
                return Unreadable(refused, raw[:2000])
            if not raw.isascii() and not is_utf8(raw):
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

    def _conversation(self, first: Any) -> Any:
        """The list that begins with this message; an `Unreadable` where it is damaged."""
        messages = [first]
        while not self._done() and not self._next_is("]"):
            value = self._value()
            if isinstance(value, Unreadable):
                return value
            messages.append(value)
        if self._done():
            return Unreadable(RowError("damaged_file", "the file ends before its list does"))
        self._at += 1
        return messages

    def _done(self) -> bool:
        self._next_is("")
        return self._at >= len(self._text)

    def __iter__(self) -> Iterator[Record]:
        self._more()
        self._text = self._text.removeprefix("\ufeff")
        number = 0
        for value in self._array() if self._next_is("[") else ():
            yield f"{self._name}[{number}]", value
            number += 1
        if number and not self._done() and not self._text.startswith(("[", "{"), self._at):
            error = RowError("damaged_file", "text follows the end of the list")
            yield f"{self._name}[{number}]", Unreadable(error, self._text[self._at :][:2000])
            return
        while not self._done():
            yield f"{self._name}[{number}]", self._value()
            number += 1

    def _array(self) -> Iterator[Any]:
        """The elements of the list that begins here; the list itself if it is a conversation."""
        self._at += 1
        value: Any = None
        first = True
        while not self._done() and not self._next_is("]"):
            value = self._value()
            if first and _is_message(value):
                yield self._conversation(value)
                return
            first = False
            yield value
        if not self._done():
            self._at += 1
        elif not isinstance(value, Unreadable):
            yield Unreadable(RowError("damaged_file", "the file ends before its list does"))
