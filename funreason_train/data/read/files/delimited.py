"""Rows of CSV and TSV files: the first line names the columns, and every value is a text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from ..json_text import is_utf8
from ..rows import RowError
from .json_files import Record, Unreadable

_LONGEST = 1 << 26  # characters of one value; csv's own limit is 131,072
_DELIMITERS = ",;\t|"


def delimited_rows(stream: BinaryIO, name: str, delimiter: str | None = None) -> Iterator[Record]:
    """Every row as an object of texts.

    Args:
        stream: The file, in UTF-8.
        name: What positions call it.
        delimiter: What stands between values; None: what stands between the names of the columns.
    """
    csv.field_size_limit(_LONGEST)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    first = text.readline()
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=first.count)  # the comma, if there is one column
    columns = next(csv.reader([first], delimiter=delimiter), [])
    if len(set(columns)) < len(columns) or not all(one.strip() for one in columns):
        yield name, Unreadable(RowError("row_shape", "a column has no name, or two have the same"), first)
        return
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 2
    try:
        for values in reader:
            position, line = f"{name}:{line}", reader.line_num + 2
            if not values:
                continue
            if len(values) != len(columns):
                detail = f"there are {len(values)} values for {len(columns)} columns"
                yield position, Unreadable(RowError("row_shape", detail), delimiter.join(values))
            elif not is_utf8("".join(values)):
                yield position, Unreadable(RowError("encoding"), delimiter.join(values))
            else:
                yield position, dict(zip(columns, values, strict=True))
    except csv.Error as error:
        yield f"{name}:{line}", Unreadable(RowError("damaged_file", f"the line cannot be read: {error}"))
