"""Rows that begin alike and then differ: each distinct step is trained on exactly once."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.check.branches import shared
from funreason_train.data.check.chains import links
from funreason_train.data.read.formats import funreason_mt

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
TOOLS = [
    {
        "name": "lookup",
        "description": "Looks a plant up.",
        "parameters": {"type": "object", "properties": {"plant": {"type": "string"}}, "required": ["plant"]},
    }
]
KEEP = {"error_tool_response": "keep", "tools_missing": "infer"}


def _row(path: str, thoughts: bool = True, name: str = "") -> dict[str, Any]:
    """A walk through a tree: each letter of the path is a turn with one call and one reply of its own."""
    messages = []
    for depth in range(1, len(path) + 1):
        here = path[:depth]
        mark = f"{name}{here}"
        think = [f"<think>{word} {mark}.</think>" if thoughts else "" for word in ("Call", "Tell")]
        messages += [
            {"role": "user", "content": f"Question {name}{path[: depth - 1]} about plants?"},
            {"role": "assistant", "content": f'{think[0]}[lookup(plant="{mark}")]'},
            {"role": "tool", "content": "['green']"},
            {"role": "assistant", "content": f"{think[1]}The plant {mark} is green."},
        ]
    return {"messages": messages, "tools": TOOLS}


def _steps(path: str, name: str = "") -> set[str]:
    return {f"{word} {name}{path[:depth]}." for depth in range(1, len(path) + 1) for word in ("Call", "Tell")}


def _thoughts(out: Path) -> list[str]:
    rows = [row for side in ("train", "val") for row in json.loads((out / f"sft/{side}.json").read_text())]
    said = [row["conversations"][-1]["value"] for row in rows]
    return [one.partition("<think>\n")[2].partition("\n</think>")[0] for one in said]


@pytest.mark.parametrize("dedup", ["near", "exact", "off"])
@pytest.mark.parametrize("order", range(3))
def test_a_tree_of_samples(prepare: Prepare, tmp_path: Path, dedup: str, order: int) -> None:
    paths = ["abc", "abd", "ab", "ae", "aeb", "f"]
    rows = [(path, name) for path in paths for name in ("Moss", "Fern", "Ivy")]
    random.Random(order).shuffle(rows)
    (tmp_path / "tree.json").write_text(json.dumps([_row(path, name=name) for path, name in rows]))
    out, result = prepare(
        "data.datasets=[funreason_mt]",
        f"data.funreason_mt.path={tmp_path}/tree.json",
        *(f"data.dedup={dedup}", "data.val_share=0.4", "data.decontaminate=off"),
    )
    account = result["sources"]["funreason_mt"]
    expected = set().union(*(_steps(path, name) for path in paths for name in ("Moss", "Fern", "Ivy")))
    assert Counter(_thoughts(out)) == Counter(expected)
    # abc, abd, aeb and f stay; ab and ae are beginnings; ab of abd, and a of aeb, stand in abc.
    assert (account["read"], account["kept"], account["absorbed"], account["rejected"]) == (18, 18, 6, {})
    assert (account["steps"], account["steps_dropped"]) == (len(expected), {"shared": 3 * 6})
    assert "responses that another row with the same beginning trains on" in (out / "card.md").read_text()
    sides = [
        {row["conversations"][0]["value"] for row in json.loads((out / f"sft/{side}.json").read_text())}
        for side in ("train", "val")
    ]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_other_thoughts_for_the_same_answer_are_steps_of_their_own(prepare: Prepare, tmp_path: Path) -> None:
    first, second = _row("ab"), _row("ac")
    second["messages"][1] = {"role": "assistant", "content": '<think>Otherwise.</think>[lookup(plant="a")]'}
    bare = _row("ad", thoughts=False)
    bare["messages"][-1]["content"] = "<think>At last.</think>" + bare["messages"][-1]["content"]
    bare["messages"][-3]["content"] = "<think>Once more.</think>" + bare["messages"][-3]["content"]
    (tmp_path / "x.json").write_text(json.dumps([first, second, bare]))
    out, result = prepare(
        "data.datasets=[funreason_mt]",
        f"data.funreason_mt.path={tmp_path}/x.json",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    own = ["Otherwise.", "Call ac.", "Tell ac.", "At last.", "Once more."]
    assert sorted(_thoughts(out)) == sorted([*_steps("ab"), *own])
    account = result["sources"]["funreason_mt"]
    assert account["steps_dropped"] == {"shared": 3}


def test_a_response_of_weight_0_is_trained_on_where_another_row_teaches_it(
    prepare: Prepare, tmp_path: Path
) -> None:
    first, second = _row("ab"), _row("ac")
    first["messages"][1]["weight"] = 0
    (tmp_path / "x.jsonl").write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    out, result = prepare(
        "data.datasets=[openai]",
        f"data.openai.path={tmp_path}/x.jsonl",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    assert Counter(_thoughts(out)) == Counter(_steps("ab") | _steps("ac"))
    assert result["sources"]["openai"]["steps_dropped"] == {"untrained": 1, "shared": 1}


PATHS = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=8)


@given(PATHS, st.lists(st.booleans(), min_size=8, max_size=8))
def test_each_distinct_step_has_one_row_that_trains_on_it(paths: list[str], thoughts: list[bool]) -> None:
    rows = [funreason_mt.convert(_row(path, bare), KEEP) for path, bare in zip(paths, thoughts, strict=False)]
    found = shared([links(row) for row in rows], [frozenset()] * len(rows))
    trained: Counter[tuple[str, str]] = Counter()
    every: dict[tuple[str, int], set[str]] = {}
    for path, row, numbers in zip(paths, rows, found, strict=True):
        steps = [step for turn in row.turns for step in turn.steps]
        for number, step in enumerate(steps):
            place = (path[: number // 2 + 1], number % 2)
            every.setdefault(place, set()).add(step.thought)
            if number not in numbers:
                trained[f"{place}", step.thought] += 1
    assert set(trained.values()) == {1}
    for place, said in every.items():
        assert {thought for where, thought in trained if where == f"{place}"} == (said - {""} or {""})
