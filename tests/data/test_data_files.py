"""Rows are read in bounded memory from every kind of file, and damage is contained and told."""

from __future__ import annotations

import codecs
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.read.files import Unreadable, fingerprint, json_files, locate, records
from funreason_train.errors import UserError

ROWS = [{"a": 1}, {"b": ["x", None, 2.5]}, [{"role": "user", "content": "grüße"}]]


def _read(path: Path) -> list[Any]:
    return [row.error.reason if isinstance(row, Unreadable) else row for _, row in records(str(path))]


def _array(rows: list[Any]) -> str:
    return json.dumps(rows)


def _lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.json.gz", "rows.jsonl.gz"])
def test_every_kind_of_text_file(tmp_path: Path, name: str) -> None:
    text = (_lines(ROWS) if "jsonl" in name else _array(ROWS)).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert _read(path) == ROWS


def test_json_lines_in_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(_lines(ROWS[:2]))
    assert _read(path) == ROWS[:2]


def test_pretty_printed_list_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS, indent=2).encode())
    assert _read(path) == ROWS


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": [1, 2], "query": ["a", None]}), tmp_path / "rows.parquet")
    assert _read(tmp_path / "rows.parquet") == [{"id": 1, "query": "a"}, {"id": 2, "query": None}]
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    assert _read(tmp_path / "broken.parquet") == ["damaged_file"]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["query", "query"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    assert _read(tmp_path / "twice.parquet") == ["row_shape"], "one of the two would be lost"


def test_positions_tell_files_of_one_name_apart_and_links_are_followed_without_end(tmp_path: Path) -> None:
    folder = tmp_path / "my rows=1"
    for part in ("a", "b", ".hidden"):
        (folder / part).mkdir(parents=True)
        (folder / part / "rows.jsonl").write_text('{"n": 1}\n')
    (tmp_path / "elsewhere.json").write_text('[{"n": 2}]')
    (folder / "link.json").symlink_to(tmp_path / "elsewhere.json")
    (folder / "gone.json").symlink_to(tmp_path / "nowhere.json")
    (folder / "a" / "loop").symlink_to(folder)
    assert [position for position, _ in records(str(folder))] == [
        "a/rows.jsonl:1",
        "b/rows.jsonl:1",
        "link.json[0]",
    ]


def test_folder_reads_its_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"n": 2}\n')
    (tmp_path / "a.json").write_text('[{"n": 1}]')
    (tmp_path / "README.md").write_text("no data")
    assert _read(tmp_path) == [{"n": 1}, {"n": 2}]
    assert sorted(Path(name).name for name in fingerprint(str(tmp_path))) == ["a.json", "b.jsonl"]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("x.jsonl", b'{"a": 1}\n{"a": \n{"a": 3}\n', [{"a": 1}, "invalid_json", {"a": 3}]),
        ("x.jsonl", b'{"a": NaN}\n{"a": -Infinity}\n{"a": 1}\n', ["not_finite", "not_finite", {"a": 1}]),
        ("x.jsonl", b'{"a": "\xff\xfe"}\n{"a": 1}\n', ["encoding", {"a": 1}]),
        ("x.jsonl", b"", []),
        ("x.json", b"", []),
        ("x.json", b"[]", []),
        ("x.json", b"  \n", []),
        ("x.jsonl", b"\n\n" + b'{"a": 1}' + b"\n\n", [{"a": 1}]),
        ("x.jsonl", b"\x00\x00\x00\n" + b'{"a": 1}\n', ["invalid_json", {"a": 1}]),
        ("x.jsonl", "{}".encode("utf-16"), [{}]),
        ("x.jsonl", b"[" * 100_000 + b'\n{"a": 1}\n', ["nested_too_deeply", {"a": 1}]),
        ("x.json", b'[{"a": 1}, {"a": ', [{"a": 1}, "invalid_json"]),
        ("x.json", b'[{"a": 1}, {"a": "cut', [{"a": 1}, "invalid_json"]),
        ("x.json", b'[{"a": 1}', [{"a": 1}, "damaged_file"]),
        ("x.json", b'[{"a": 1}] trailing', [{"a": 1}, "damaged_file"]),
        ("x.json", b'[{"a": 1},\n{"a" 2},\n{"a": 3}]', [{"a": 1}, "invalid_json", {"a": 3}]),
        ("x.json", b'[{"a": NaN},\n{"a": 3}]', ["not_finite", {"a": 3}]),
        ("x.json", b'[{"a": "\xff"}, {"a": 3}]', ["encoding", {"a": 3}]),
        ("x.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        ("x.json", b'[\r\n{"a": 1},\r\n{"a" 2},\r\n{"a": 3}\r\n]\r\n', [{"a": 1}, "invalid_json", {"a": 3}]),
        ("x.json", '[{"a": 1}]'.encode("utf-16"), [{"a": 1}]),
        ("x.json", '[{"a": 1}]'.encode("utf-32-be"), [{"a": 1}]),
        ("x.json", codecs.BOM_UTF32_BE + '[{"a": 1}]'.encode("utf-32-be"), [{"a": 1}]),
        ("x.json", gzip.compress(b'[{"a": 1}]', mtime=0), [{"a": 1}]),  # its name lies
        ("x.jsonl", b"PAR1\n\x15", ["damaged_file"]),
        ("x.json.gz", b'[{"a": 1}]', [{"a": 1}]),
        ("x.JSON.GZ", gzip.compress(b'{"a": 1}', mtime=0) * 2, [{"a": 1}] * 2),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}\n', mtime=0) + b"garbage", [{"a": 1}, "damaged_file"]),
        ("x.json.gz", b"\x1f\x8b not gzip", ["damaged_file"]),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 9, mtime=0)[:-12], [{"a": 1}] * 9 + ["damaged_file"]),
    ],
)
def test_damage_is_contained(tmp_path: Path, name: str, data: bytes, expected: list[Any]) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    found = _read(path)
    if len(expected) > 9:  # how much of a cut gzip stream can be had is the decompressor's affair
        assert found[-1] == "damaged_file" and all(row == {"a": 1} for row in found[:-1])
    else:
        assert found == expected


def test_a_row_of_five_megabytes(tmp_path: Path) -> None:
    row = {"text": "x" * 5_000_000}
    for name, text in (("a.jsonl", _lines([row, {"a": 1}])), ("a.json", _array([row, {"a": 1}]))):
        (tmp_path / name).write_text(text)
        assert _read(tmp_path / name) == [row, {"a": 1}]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(_JSON, max_size=6), st.integers(1, 40), st.booleans())
def test_chunks_do_not_change_what_is_read(rows: list[Any], chunk: int, spaced: bool) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1 if spaced else None)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    before = json_files._CHUNK
    json_files._CHUNK = chunk
    try:
        assert [row for _, row in json_files.Values(io.BytesIO(data), "x")] == rows
    finally:
        json_files._CHUNK = before


@pytest.mark.parametrize("path", ["missing.jsonl", "/no/such/folder", "./owner/name"])
def test_missing_file_is_one_sentence(path: str) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        locate(path)


def test_unknown_kind_and_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("a,b")
    with pytest.raises(UserError, match="kind of file"):
        locate(str(tmp_path / "data.txt"))
    with pytest.raises(UserError, match="no data file"):
        locate(str(tmp_path))


def test_a_hub_id_that_cannot_be_read_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("gated")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    assert locate("Salesforce/xlam-function-calling-60k") is None
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(UserError, match=r"accept its terms on https.*HF_TOKEN \(not set now\).*\.jsonl"):
        next(records("Salesforce/xlam-function-calling-60k"))
    monkeypatch.setenv("HF_TOKEN", "secret")
    with pytest.raises(UserError, match=r"download xlam_function_calling_60k\.json from there") as caught:
        next(records("Salesforce/xlam-function-calling-60k", hub_file="xlam_function_calling_60k.json"))
    assert "secret" not in str(caught.value) and "not set" not in str(caught.value)


def test_a_hub_that_fails_midway_stops_the_run_instead_of_losing_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import datasets

    def load(*_: Any, **__: Any) -> Iterator[dict[str, int]]:
        yield {"id": 1}
        raise TimeoutError

    monkeypatch.setattr(datasets, "load_dataset", load)
    rows = records("a/b")
    assert next(rows) == ("a/b[0]", {"id": 1})
    with pytest.raises(UserError, match=r"beyond row 1 \(TimeoutError\)"):
        next(rows)


def test_hub_rows_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: dict[str, Any] = {}

    def load(name: str, **options: Any) -> list[dict[str, int]]:
        asked.update(options, name=name)
        return [{"id": 1}, {"id": 2}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert list(records("a/b", split="test")) == [("a/b[0]", {"id": 1}), ("a/b[1]", {"id": 2})]
    assert asked == {"name": "a/b", "split": "test", "streaming": True}


ROW = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
CONVERSATION = ROW["messages"]


def _said(*rows: Any, between: str = "\n", **how: Any) -> str:
    return between.join(json.dumps(row, **how) for row in rows)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (_said(ROW, ROW), [ROW, ROW]),
        (_said([ROW, ROW]), [ROW, ROW]),  # an array on one line
        ("[\n" + _said(ROW, ROW, between=",\n") + "\n]\n", [ROW, ROW]),  # one row a line
        ("[" + _said(ROW, ROW, between=",\n") + "]", [ROW, ROW]),
        (_said([ROW, ROW], indent=2), [ROW, ROW]),
        (_said(ROW, ROW, indent=1), [ROW, ROW]),
        (_said(ROW, ROW, between=",\n"), [ROW, ROW]),  # an array without its brackets
        (_said(CONVERSATION, CONVERSATION), [CONVERSATION, CONVERSATION]),  # a list is a row
        (_said(CONVERSATION), [CONVERSATION]),
        (_said(CONVERSATION, indent=2), [CONVERSATION]),
        (_said([CONVERSATION, CONVERSATION]), [CONVERSATION, CONVERSATION]),
        (_said([json.dumps(one) for one in CONVERSATION]), [[json.dumps(one) for one in CONVERSATION]]),
    ],
)
def test_the_content_of_a_file_decides_and_not_its_name(
    tmp_path: Path, kind: str, zipped: bool, text: str, rows: list[Any]
) -> None:
    """datasets#7793's relative: what `json.dump` and `to_json` write is called .jsonl as often as .json."""
    path = tmp_path / (f"rows.{kind}.gz" if zipped else f"rows.{kind}")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert _read(path) == rows


def test_a_damaged_first_line_does_not_change_what_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1\n' + _said(ROW, ROW) + "\n")
    assert _read(path) == ["invalid_json", ROW, ROW]
