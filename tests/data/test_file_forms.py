"""One set of rows in every form of file that people save rows in: read alike, or told apart in a sentence."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.read.files import Unreadable, locate, records
from funreason_train.data.read.files.delimited import delimited_rows
from funreason_train.errors import UserError

ROWS = [
    {
        "messages": [
            {"role": "user", "content": f"Grüße, {n}\u2028!"},
            {"role": "assistant", "content": "Gern."},
        ]
    }
    for n in range(5)
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
LIST = json.dumps(ROWS, ensure_ascii=False)


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _read(path: Path) -> list[Any]:
    return [row.error if isinstance(row, Unreadable) else row for _, row in records(str(path))]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": _zstd,
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("ending", [".json", ".jsonl", ".ndjson", ".jsonlines"])
@pytest.mark.parametrize("text", [LINES, LIST], ids=["lines", "list"])
def test_packed_and_named_in_every_way(tmp_path: Path, packed: str, ending: str, text: str) -> None:
    path = tmp_path / f"rows{ending}{packed}"
    path.write_bytes(PACKED[packed](text.encode()))
    assert _read(path) == ROWS
    path.rename(tmp_path / f"rows{ending}")  # what it is packed with stands in the file itself
    assert _read(tmp_path / f"rows{ending}") == ROWS


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", *(f"utf-{n}{e}" for n in (16, 32) for e in ("", "-le", "-be"))]
)
@pytest.mark.parametrize("text", [LINES, LIST, LINES.replace("\n", "\r\n")], ids=["lines", "list", "crlf"])
def test_every_encoding_of_unicode(tmp_path: Path, encoding: str, text: str) -> None:
    for ending in (".json", ".jsonl"):
        path = tmp_path / f"rows{ending}"
        path.write_bytes(text.encode(encoding))
        assert _read(path) == ROWS


@pytest.mark.parametrize(
    "text",
    [
        LINES.replace("\n", "\n\ufeff"),  # files with byte order marks that were put together
        LINES.replace("\n", "\r"),
        LINES.replace("\n", ""),
        LINES.replace("\n", ",\n"),
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        json.dumps(ROWS[:2]) + json.dumps(ROWS[2:]),
        json.dumps(ROWS[:2]) + "\n" + "\n".join(map(json.dumps, ROWS[2:])),
        "".join("\x1e" + json.dumps(row) + "\n" for row in ROWS),  # RFC 7464
    ],
)
def test_texts_put_together_lose_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.json").write_bytes(text.encode())
    assert _read(tmp_path / "rows.json") in (ROWS, [*ROWS[:2], ROWS[2:]])  # the latter is opened row by row


def test_a_list_of_rows_on_a_line_is_as_many_rows(
    prepare: Callable[..., tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(LINES + json.dumps([{"messages": []}, *_other(3)]) + "\n")
    words = ("data.val_share=0", "data.decontaminate=off", "data.dedup=off", "data.datasets=[openai]")
    out, result = prepare(*words, f"data.openai.path={path}")
    account = result["sources"]["openai"]
    assert (account["read"], account["kept"], account["rejected"]) == (9, 8, {"row_shape": 1})
    assert json.loads((out / "rejected.jsonl").read_text())["position"] == "rows.jsonl:6[0]"


def _other(count: int) -> list[Any]:
    return [
        {"messages": [{"role": "user", "content": f"Bonjour {n}"}, {"role": "assistant", "content": "Oui."}]}
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "name", ["rows.arrow", "rows.feather", "stream.arrow", "rows.parquet", "rows.pq", "rows.json"]
)
def test_tables(tmp_path: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(ROWS)
    path = tmp_path / name
    if name.startswith("stream"):
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    elif "p" in path.suffix:
        pq.write_table(table, path)
    else:
        feather.write_feather(table, str(path))
    assert _read(path) == ROWS
    path.write_bytes(path.read_bytes()[:-40])
    assert {error.reason for error in _read(path) if not isinstance(error, dict)} <= {"damaged_file"}


def test_a_folder_that_datasets_saved_is_its_arrow_file(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    assert _read(tmp_path / "saved") == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_as_text(
    prepare: Callable[..., tuple[Path, dict[str, Any]]], tmp_path: Path, delimiter: str
) -> None:
    """As a spreadsheet writes JSON, and as pandas writes lists."""
    for name, write in (("json", json.dumps), ("pandas", str)):
        path = tmp_path / f"{name}.{'tsv' if delimiter == chr(9) else 'csv'}"
        with path.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerow(["id", "messages", "tools"])
            for number, row in enumerate(ROWS):
                writer.writerow([number, write(row["messages"]), ""])
        words = ("data.val_share=0", "data.decontaminate=off", "data.dedup=off", "data.datasets=[openai]")
        out, result = prepare(*words, f"data.openai.path={path}", f"data.out={tmp_path / name}")
        assert result["sources"]["openai"]["kept"] == 5
        shown = json.loads((out / "sft" / "train.json").read_text())
        assert all(row["messages"][0]["content"] in json.dumps(shown, ensure_ascii=False) for row in ROWS)


@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=2))
)
def test_what_csv_wrote_is_read(values: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *values])
    found = [row for _, row in delimited_rows(io.BytesIO(text.getvalue().encode()), "x.csv")]
    assert found == [{"a": one, "b": other} for one, other in values]


def test_damaged_lines_of_a_table_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a,b\n1\n1,2,3\n\n\xff,1\n5,6\n"x,y\n')
    assert [getattr(row, "reason", row) for row in _read(path)] == [
        *("row_shape", "row_shape", "encoding"),
        {"a": "5", "b": "6"},
        "damaged_file",
    ]
    path.write_text("a,a\n1,2\n")
    assert [row.detail for row in _read(path)] == ["a column has no name, or two have the same"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04abc", "ZIP archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x80\x05\x95", "pickle"),
        (b"SQLite format 3\0", "SQLite"),
        (gzip.compress(gzip.compress(b"[]", mtime=0), mtime=0), "packed twice"),
        (lzma.compress(b'{"a": 1}\n' * 99)[:-40], "end-of-stream|end of"),
        (_zstd(LINES.encode() * 99)[:-9], "Truncated"),
        ("[{}]".encode("utf-16")[:-1], "utf-16"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, data: bytes, told: str) -> None:
    import re

    for ending in (".json", ".jsonl", ".csv"):
        path = tmp_path / f"rows{ending}"
        path.write_bytes(data)
        last = _read(path)[-1]
        assert last.reason in ("damaged_file", "encoding") and re.search(told, last.detail)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("https://huggingface.co/datasets/owner/name", "path=owner/name"),
        ("hf://datasets/owner/name/train.parquet", "path=owner/name"),
        ("s3://bucket/rows.jsonl", "Download it"),
        ("rows/*.jsonl", "Patterns are not read"),
        (r"C:\data\rows.jsonl", "no such file"),
        ("x" * 5000, "cannot be looked at"),
        ("rows\0.jsonl", "no such file"),
        ("/dev/null", "neither a file nor a folder"),
    ],
)
def test_paths_that_are_none(path: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        locate(path)


def test_a_linked_folder_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "rows.jsonl").write_text(LINES)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "linked" / "again").symlink_to(tmp_path / "data")
    assert _read(tmp_path / "data") == ROWS
