"""Near-duplicates: found whatever stands around them, never invented, and on one side of the split."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.check.near import Pair, joined_keys, near_pairs, shingles, signature
from funreason_train.data.check.words import ngrams, words
from funreason_train.dialogue import AssistantStep, Trajectory, Turn

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
WORDS = [f"word{number}" for number in range(300)]


def _chat(*users: str, call: Call | None = None, thought: str = "", tools: int = 1) -> Trajectory:
    step = AssistantStep(thought, (call,) if call else (), "" if call else "Done.")
    offered = tuple({"name": f"tool_{number}"} for number in range(tools))
    return Trajectory("i", "s", offered, tuple(Turn(user, (step,)) for user in users))


def _pairs(chats: list[Trajectory], threshold: float = 0.85, drop: bool = False) -> list[tuple[int, int]]:
    found = near_pairs([signature(one) for one in chats], chats.__getitem__, threshold, drop)
    return [(pair.first, pair.second) for pair in found]


def _text(draw: random.Random, length: int) -> list[str]:
    return draw.choices(WORDS, k=length)


def test_words_hash_alike_on_every_machine() -> None:
    """These numbers decide which rows stay: they may not depend on the process or the platform."""
    assert [hex(one) for one in words("File_Name, file")] == [
        "0xf627f10829d3560c",
        "0xda6e932a8493c057",
        "0xf627f10829d3560c",
    ]
    assert len(words("Straße 今天天气")) == 5
    assert signature(_chat("one two three four"))[:8].hex() == "831e2e11e07f9b3e"


@pytest.mark.parametrize("size", range(1, 10))
def test_ngrams_of_any_size(size: int) -> None:
    texts = ["a b c d e f g h i", "b c d e f g h i j"]
    one, two = (ngrams(words(text), size) for text in texts)
    assert len(one) == 10 - size
    assert one[1:].tolist() == two[:-1].tolist()
    assert len({*one.tolist(), *two.tolist()}) == 11 - size
    assert not len(ngrams(words("a"), size + 1))


def test_every_near_duplicate_is_found_and_no_other() -> None:
    draw = random.Random(3)
    chats = []
    for _ in range(150):
        text = _text(draw, draw.randint(8, 80))
        chats.append(_chat(" ".join(text)))
        for changes in draw.sample((1, 2, 4, 8), 2):
            changed = list(text)
            for _ in range(changes):
                changed[draw.randrange(len(text))] = draw.choice(WORDS)
            chats.append(_chat(" ".join(changed)))
    draw.shuffle(chats)
    sets = [set(shingles(one).tolist()) for one in chats]
    close = {
        pair
        for pair in combinations(range(len(chats)), 2)
        if len(sets[pair[0]] & sets[pair[1]]) / len(sets[pair[0]] | sets[pair[1]]) >= 0.85
    }
    assert len(close) > 50
    found = _pairs(chats)
    assert set(found) <= close
    assert {second for _, second in found} == {second for _, second in close}


def test_thoughts_and_tools_do_not_count_but_values_do() -> None:
    text = "Please find the invoices of March and send the largest one to my accountant"
    call = Call("find_invoices", {"month": 3})
    alike = [_chat(text, call=call), _chat(text, call=call, thought="Hm, invoices …", tools=4)]
    assert _pairs(alike) == [(0, 1)]
    other = _chat(text.replace("March", "April"), call=Call("find_invoices", {"month": 4}))
    assert _pairs([_chat(text, call=call), other]) == []


def test_a_dropped_row_drops_no_other() -> None:
    """B is near A and C is near B; once B is gone, C stays."""
    text = [f"t{number}" for number in range(100)]
    b, c = list(text), list(text)
    b[20] = "x"
    c[20], c[60] = "x", "y"
    chats = [_chat(" ".join(one)) for one in (text, b, c)]
    assert _pairs(chats, 0.92, drop=True) == [(0, 1)]
    assert _pairs(chats, 0.92, drop=False) == [(0, 1), (1, 2)]


def test_conversations_without_a_word_pair_with_nothing() -> None:
    empty = Trajectory("i", "s", (), (Turn("?!", (AssistantStep("", text="…"),)),))
    assert signature(empty) == b""
    assert _pairs([empty, empty, _chat("a"), _chat("a")]) == [(2, 3)]


def test_keys_that_come_together() -> None:
    pairs = [Pair(0, 2, 1.0), Pair(2, 4, 0.9)]
    assert joined_keys(["d", "b", "c", "b", "e", "e"], pairs) == ["c", "b", "c", "b", "c", "c"]
    assert joined_keys(["a", "b"], []) == ["a", "b"]


def _rows(path: Path, numbers: range, extra: str = "") -> None:
    tool = {"name": "book", "description": "", "parameters": {"room": {"type": "int"}}}
    with path.open("w") as file:
        for number in numbers:
            draw = random.Random(number)
            row = {
                "id": number,
                "query": f"{extra}{' '.join(_text(draw, 40))}",
                "answers": json.dumps([{"name": "book", "arguments": {"room": number}}]),
                "tools": json.dumps([tool]),
            }
            file.write(json.dumps(row) + "\n")


@pytest.fixture
def two_sources(tmp_path: Path) -> list[str]:
    """Two sources of 100 rows; 20 of the second are rows of the first that open with another word."""
    _rows(tmp_path / "a.jsonl", range(100))
    _rows(tmp_path / "b.jsonl", range(80, 180), "Kindly ")
    node = "{format: apigen, path: %s, split: train, rows: null, weight: 1}"
    return [
        "data.datasets=[a,b]",
        *(f"data.{name}=" + node % (tmp_path / f"{name}.jsonl") for name in "ab"),
    ]


def test_near_duplicates_are_rejected_and_listed(prepare: Prepare, two_sources: list[str]) -> None:
    out, result = prepare(*two_sources)
    assert result["sources"]["a"]["rejected"] == {}
    assert result["sources"]["b"]["rejected"] == {"near_duplicate": 20}
    assert result["sources"]["b"]["kept"] == 80
    rows = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert {row["id"] for row in rows} == {str(number) for number in range(80, 100)}
    assert rows[0]["detail"].endswith("alike to a, a.jsonl:81")
    assert rows[0]["position"] == "b.jsonl:1"


@pytest.mark.parametrize("seed", range(2))
def test_near_duplicates_that_stay_are_on_one_side(
    prepare: Prepare, two_sources: list[str], seed: int
) -> None:
    out, result = prepare(*two_sources, "data.dedup=exact", "data.val_share=0.5", f"seed={seed}")
    assert result["sft"]["train"] + result["sft"]["val"] == 200
    sides: dict[str, set[str]] = {}
    for side in ("train", "val"):
        for row in json.loads((out / "sft" / f"{side}.json").read_text()):
            sides.setdefault(row["id"].partition("/")[0], set()).add(side)
    twice = [str(number) for number in range(80, 100)]
    assert all(len(sides[number]) == 1 for number in twice)
    assert {side for number in twice for side in sides[number]} == {"train", "val"}


def test_weights_are_for_training_and_validation_has_each_conversation_once(
    prepare: Prepare, two_sources: list[str]
) -> None:
    words = (*two_sources, "data.val_share=0.2")
    _, once = prepare(*words)
    out, result = prepare(*words, "data.a.weight=3", "data.b.weight=0.5")
    for name, weight in (("a", 3), ("b", 0.5)):
        plain, weighted = (one["sources"][name]["conversations"] for one in (once, result))
        assert weighted == {"train": round(plain["train"] * weight), "val": plain["val"]}
    rows = json.loads((out / "sft" / "val.json").read_text())
    assert len(rows) == sum(one["conversations"]["val"] for one in once["sources"].values())


def test_rows_count_both_sides_and_what_is_missing_is_said(prepare: Prepare, two_sources: list[str]) -> None:
    _, result = prepare(*two_sources, "data.val_share=0.2", "data.a.rows=40", "data.b.rows=500")
    a, b = (result["sources"][name] for name in "ab")
    assert a["conversations"] == {"train": 32, "val": 8}
    assert a["rows_missing"] == {}
    assert sum(b["conversations"].values()) + sum(b["rows_missing"].values()) == 500
