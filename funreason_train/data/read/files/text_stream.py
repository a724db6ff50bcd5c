"""A file as UTF-8 bytes, whatever it is packed with and written in; what it begins with decides."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..rows import RowError

_HEAD = 16  # bytes
_ZSTD = b"\x28\xb5\x2f\xfd"
#: Encodings by byte order marks, the longer ones first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Encodings by which of a text's first bytes are zero, as RFC 4627 tells them apart.
_ZEROS = {"x000x000": "utf-32-le", "000x000x": "utf-32-be", "x0x0": "utf-16-le", "0x0x": "utf-16-be"}
#: What else a file may turn out to be.
_OTHERS = (
    (b"PAR1", "this is a Parquet file; its name should end in .parquet"),
    (b"ARROW1", "this is an Arrow file; its name should end in .arrow"),
    (b"FEA1", "this is Feather version 1; save it as version 2"),
    (b"PK\x03\x04", "this is a ZIP archive; unpack it"),
    (b"7z\xbc\xaf", "this is a 7z archive; unpack it"),
    (b"SQLite format 3", "this is a SQLite database; export its rows as JSON lines"),
    (b"\x80\x02", "this is a pickle, which is never opened; save its rows as JSON lines"),
    (b"\x80\x03", "this is a pickle, which is never opened; save its rows as JSON lines"),
    (b"\x80\x04", "this is a pickle, which is never opened; save its rows as JSON lines"),
    (b"\x80\x05", "this is a pickle, which is never opened; save its rows as JSON lines"),
    (b"%PDF", "this is a PDF"),
    (b"<!DOCTYPE", "this is a web page, and not the file that was meant; download it again"),
    (b"<!doctype", "this is a web page, and not the file that was meant; download it again"),
    (b"<html", "this is a web page, and not the file that was meant; download it again"),
    (b"version https://", "this is a pointer of Git LFS, and not the file; fetch it with `git lfs pull`"),
)


def text_stream(file: Path) -> BinaryIO:
    """Opens a file for reading from its beginning, unpacked and in UTF-8.

    Raises:
        RowError: `damaged_file` for what is not text.
        OSError: the file cannot be opened.
    """
    stream = _unpacked(file)
    try:
        head = stream.peek(_HEAD)[:_HEAD]
        for magic, what in _OTHERS:
            if head.startswith(magic):
                raise RowError("damaged_file", what)
        if _opener(head) is not None:
            raise RowError("damaged_file", "the file is packed twice")
        encoding = _encoding(head)
    except BaseException:
        stream.close()
        raise
    if encoding is not None:
        stream = io.BufferedReader(cast(io.RawIOBase, _Recoded(stream, encoding)))
    return cast(BinaryIO, stream)


def _opener(head: bytes) -> Callable[[Path], Any] | None:
    """What unpacks a file that begins so; None if it is not packed."""
    if head.startswith(b"\x1f\x8b"):
        return lambda file: gzip.open(file, "rb")
    if head.startswith(b"BZh"):
        return lambda file: bz2.open(file, "rb")
    if head.startswith(b"\xfd7zXZ\0"):
        return lambda file: lzma.open(file, "rb")
    return _zstd if head.startswith(_ZSTD) else None


def _unpacked(file: Path) -> Any:
    with file.open("rb") as stream:
        opener = _opener(stream.read(_HEAD))
    return file.open("rb") if opener is None else opener(file)


def _zstd(file: Path) -> Any:
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(str(file), compression="zstd"))


def _encoding(head: bytes) -> str | None:
    """What a text is written in, if not in UTF-8."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    zeros = "".join("x" if byte else "0" for byte in head[:8])
    return _ZEROS.get(zeros, _ZEROS.get(zeros[:4]))


class _Recoded(io.RawIOBase):
    """A text in another encoding, in UTF-8.

    Args:
        stream: The text.
        encoding: What it is written in.
    """

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder(encoding)().decode
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = self._stream.read(1 << 16)
            self._rest = self._decode(block, not block).encode("utf-8")
            if not block:
                break
        taken = min(len(buffer), len(self._rest))
        buffer[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken

    def close(self) -> None:
        self._stream.close()
        super().close()
