"""Finished samples: each is held once, and what measures is apart from what trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from funreason_train.synth.work.store import Store


def test_a_store_holds_each_sample_once(tmp_path: Path) -> None:
    sample = {"index": 3, "ok": True, "row": "{}\n", "task": "{}\n", "opening": "a", "draws": 1, "lost": {}}
    with Store(tmp_path / "s.sqlite", "job") as store:
        store.add("train", [sample])
        store.add("train", [{**sample, "row": "other"}])
        assert list(store.lines("train", 9, "row")) == ["{}\n"] and store.accepted("train") == 1
        assert store.missing("train", range(5)) == [0, 1, 2, 4]
        store.add("heldout", [sample, {**sample, "index": 4, "opening": "b"}])
        assert store.accepted("heldout") == 1, "the other one opens like a training conversation"


def test_what_measures_shares_neither_opening_nor_calls_with_what_was_made_before(tmp_path: Path) -> None:
    def sample(index: int, opening: str, calls: str | None) -> dict[str, Any]:
        text = f"{opening}{calls}\n"
        row = {"index": index, "ok": True, "row": text, "task": text, "draws": 1, "lost": {}}
        return {**row, "opening": opening, "calls": calls}

    with Store(tmp_path / "s.sqlite", "job") as store:
        store.add("train", [sample(0, "a", "1"), sample(1, "b", None), sample(2, "z", "9")])
        store.ends["train"] = 2
        store.add("tuning", [sample(0, "c", "1"), sample(1, "d", "2"), sample(2, "e", None)])
        assert list(store.lines("tuning", 9, "task")) == ["d2\n", "eNone\n"]
        store.add("heldout", [sample(0, "e", "3"), sample(1, "f", "2"), sample(2, "z", "9")])
        assert list(store.lines("heldout", 9, "task")) == ["z9\n"], (
            "surplus training samples count for nothing"
        )


def test_a_store_made_with_other_settings_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite", "job"):
        pass
    with pytest.raises(ValueError, match="different settings"):
        Store(tmp_path / "s.sqlite", "another")
