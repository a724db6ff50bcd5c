"""Reading, tokenising and packing the exported rows, whatever layout their file has."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.sft.brief import count_rows
from funreason_train.sft.tokens.packing import IGNORED, joined, pack
from funreason_train.sft.tokens.rows import Form, RowError, conversation, parts, read

FORM = Form.of({"columns": {"messages": "conversations", "system": "system"}})
TARGET = "<think>\nI add.\n</think>\n\n[add(a=1)]"


def row(number: int = 0, *turns: tuple[str, str], target: str = TARGET) -> dict[str, Any]:
    said = turns or (("human", "Add 1 and 2 — naïve."),)
    messages = [{"from": who, "value": text} for who, text in (*said, ("gpt", target))]
    return {"id": str(number), "system": "You call functions.", "conversations": messages}


def as_exported(rows: list[dict[str, Any]]) -> str:
    return "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in rows) + "\n]\n"


LAYOUTS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "exported": as_exported,
    "indented": lambda rows: json.dumps(rows, indent=2),
    "one line": json.dumps,
    "lines": lambda rows: "".join(json.dumps(one) + "\n" for one in rows),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [64, 1000, 1 << 20])
def test_every_row_is_read_once_and_in_order(tmp_path: Path, layout: str, size: int) -> None:
    rows = [row(number) for number in range(50)]
    file = tmp_path / "train.json"
    file.write_text(LAYOUTS[layout](rows), encoding="utf-8")
    found = [one for part in parts(file, tmp_path / "work", size) for one in read(part)]
    assert found == rows
    if layout != "one line":
        assert count_rows(file) == 50


def test_an_empty_list_has_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    for text in ("[\n]\n", "[]", ""):
        file.write_text(text)
        assert [one for part in parts(file, tmp_path) for one in read(part)] == []
        assert count_rows(file) == 0


def test_a_conversation_and_its_target() -> None:
    one = row(0, ("human", "q"), ("function_call", "[f()]"), ("observation", "['1']"))
    messages, target = conversation(one, FORM)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert target == TARGET


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (row(0, ("human", "q"), ("human", "q")), "message 2 is of the role user"),
        (row(0, ("gpt", "a"), ("human", "q")), "message 1 is of the role assistant"),
        (row(0, target="[add(a=1)]"), "does not begin with a thought"),
        (row(0, target="<think>\nnever closed"), "does not begin with a thought"),
        (row(0, ("narrator", "once")), "message 1 has no known role"),
        ({"id": "1"}, "no list 'conversations'"),
        ({"conversations": [{"from": "human", "value": None}]}, "message 1 has no known role or no text"),
        ({"conversations": [{"from": "human", "value": "q"}]}, "does not end in an answer"),
    ],
)
def test_what_cannot_be_trained_on_is_told(broken: dict[str, Any], says: str) -> None:
    with pytest.raises(RowError, match=says):
        conversation(broken, FORM)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(40, 100))
def test_packing_keeps_every_row_whole_and_apart(lengths: list[int], most: int) -> None:
    rows = [([number] * length, [IGNORED, *[number] * (length - 1)]) for number, length in enumerate(lengths)]
    groups = list(pack(rows, most))
    assert sorted(one[0][0] for group in groups for one in group) == list(range(len(rows)))
    for group in groups:
        sequence = joined(group)
        size = len(sequence["input_ids"])
        assert size <= most and all(len(column) == size for column in sequence.values())
        for number, (ids, labels) in enumerate(group, start=1):
            places = [n for n, mask in enumerate(sequence["attention_mask"]) if mask == number]
            assert [sequence["input_ids"][n] for n in places] == ids
            assert [sequence["labels"][n] for n in places] == labels
            assert [sequence["position_ids"][n] for n in places] == list(range(len(ids)))


def test_packing_wastes_little() -> None:
    draw = random.Random(0)
    rows = [([1] * draw.randrange(10, 400), [1]) for _ in range(500)]
    groups = list(pack(rows, 1024))
    assert sum(len(ids) for ids, _ in rows) / (len(groups) * 1024) > 0.97
