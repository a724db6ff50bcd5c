"""A second run counts nothing again, and whatever changes a count makes it counted anew."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funreason_train.data.measure.length_cache import LengthCache, cache_folder, fingerprint
from funreason_train.models.tokenizers import load_tokenizer

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
BARE = {"system": "bfcl", "answer": "bare"}


def test_a_second_run_counts_nothing_again(prepare: Prepare, tokenizer_folder: Path, tmp_path: Path) -> None:
    words = (f"data.tokenizer={tokenizer_folder}", f"data.length_cache={tmp_path}/cache", "data.val_share=0")
    out, first = prepare(*words)
    ledger = (out / "ledger.json").read_bytes()
    assert first["lengths"] == {"counted": 11, "cached": 0}

    out, second = prepare(*words, f"data.out={tmp_path}/other", f"run_dir={tmp_path}/other_run")
    assert second["lengths"] == {"counted": 0, "cached": 11}
    assert (out / "ledger.json").read_bytes() == ledger

    rows = [json.loads(line) for line in (Path(__file__).parents[1] / "fixtures/apigen_8rows.jsonl").open()]
    rows[3]["query"] += " Thank you."
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, third = prepare(*words, f"data.apigen.path={tmp_path}/rows.jsonl")
    assert third["lengths"] == {"counted": 1, "cached": 10}

    _, tagged = prepare(*words, "protocol.answer=tagged")
    assert tagged["lengths"] == {"counted": 11, "cached": 0}


def test_the_fingerprint_is_that_of_tokenizer_and_protocol(tokenizer_folder: Path, tmp_path: Path) -> None:
    first = fingerprint(load_tokenizer(str(tokenizer_folder)), BARE)
    shutil.copytree(tokenizer_folder, tmp_path / "copy")
    assert fingerprint(load_tokenizer(str(tmp_path / "copy")), BARE) == first
    assert fingerprint(load_tokenizer(str(tokenizer_folder)), {**BARE, "system": "compact"}) != first
    template = load_tokenizer(str(tokenizer_folder))
    template.chat_template += " "
    larger = load_tokenizer(str(tokenizer_folder))
    larger.add_tokens(["weather"])
    assert len({first, fingerprint(template, BARE), fingerprint(larger, BARE)}) == 3


def test_counts_come_back_under_their_own_fingerprint(tmp_path: Path) -> None:
    counts = {f"{number}".encode(): [(number, 2**40), (0, 1)] for number in range(1200)}
    LengthCache(tmp_path, b"a").put(counts)
    LengthCache(tmp_path, b"b").put({b"7": [(9, 9)]})
    assert LengthCache(tmp_path, b"a").get([*counts, b"unknown"]) == counts
    assert LengthCache(tmp_path, b"b").get(counts) == {b"7": [(9, 9)]}
    assert LengthCache(None, b"a").get(counts) == {}


def test_a_broken_cache_is_done_without(
    prepare: Prepare, tokenizer_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lengths.sqlite").write_bytes(b"no database" * 100)
    _, result = prepare(f"data.tokenizer={tokenizer_folder}", f"data.length_cache={tmp_path}")
    assert result["lengths"] == {"counted": 11, "cached": 0}
    assert str(tmp_path) in capsys.readouterr().err

    (tmp_path / "lengths.sqlite").unlink()
    with sqlite3.connect(tmp_path / "lengths.sqlite") as base:
        base.execute("CREATE TABLE lengths (key BLOB PRIMARY KEY, counts BLOB)")
        cache = LengthCache(tmp_path, b"a")
        base.execute("INSERT INTO lengths VALUES (?, ?)", (cache._key(b"x"), b"odd"))
    assert cache.get([b"x"]) == {}


def test_where_counts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder(None) == Path("/somewhere/funreason-train")
    assert cache_folder("/mine") == Path("/mine")
    assert cache_folder("off") is None
