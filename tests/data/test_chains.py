"""Rows that are beginnings of others: every distinct step is trained on once, with its own thought."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.check.chains import chains, links
from funreason_train.data.read.formats import funreason_mt

Prepare = Callable[..., tuple[Path, dict[str, Any]]]

TOOLS = [
    {
        "name": name,
        "description": f"Looks up the {name}.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    }
    for name in ("tide", "ferry")
]
SYSTEM = "You are an expert in composing functions. Here is a list of functions.\n" + json.dumps(TOOLS)
KEEP = {"error_tool_response": "keep", "tools_missing": "infer"}


def _conversation(name: str, turns: int) -> list[dict[str, str]]:
    """Two responses a turn, each with a thought of its own."""
    messages = [{"role": "system", "content": SYSTEM}]
    for number in range(turns):
        tool = ("tide", "ferry")[number % 2]
        messages += [
            {"role": "user", "content": f"Question {number} of {name}: when is the next {tool} there?"},
            {"role": "assistant", "content": f'<think>Ask {number} {name}.</think>[{tool}(place="{name}")]'},
            {"role": "tool", "content": f"['at {number + 7} o clock']"},
            {
                "role": "assistant",
                "content": f"<think>Tell {number} {name}.</think>At {number + 7} in {name}.",
            },
        ]
    return messages


def _split(messages: Sequence[dict[str, str]], thoughts: bool) -> list[list[dict[str, str]]]:
    """One row a response, the history with its thoughts or without."""
    rows = []
    for end, message in enumerate(messages, start=1):
        if message["role"] == "assistant":
            history = [
                one if thoughts else {**one, "content": one["content"].rpartition("</think>")[2]}
                for one in messages[: end - 1]
            ]
            rows.append([*history, message])
    return rows


def _targets(out: Path) -> list[str]:
    rows = [row for side in ("train", "val") for row in json.loads((out / f"sft/{side}.json").read_text())]
    return [row["conversations"][-1]["value"] for row in rows]


@pytest.mark.parametrize("thoughts", [True, False])
@pytest.mark.parametrize("dedup", ["near", "exact", "off"])
@pytest.mark.parametrize("order", ["as made", "longest first", "shuffled"])
def test_a_data_set_that_is_split_per_response(
    prepare: Prepare, tmp_path: Path, thoughts: bool, dedup: str, order: str
) -> None:
    """AWorld-RL#14: each row is a prefix of the next."""
    rows = [row for n in range(4) for row in _split(_conversation(f"Port{n}", 3), thoughts)]
    if order == "longest first":
        rows.reverse()
    elif order == "shuffled":
        random.Random(3).shuffle(rows)
    (tmp_path / "all.json").write_text(json.dumps(rows))
    out, result = prepare(
        "data.datasets=[funreason_mt]",
        f"data.funreason_mt.path={tmp_path}/all.json",
        *(f"data.dedup={dedup}", "data.val_share=0.3", "data.decontaminate=off"),
    )
    account = result["sources"]["funreason_mt"]
    assert (account["read"], account["kept"], account["absorbed"], account["rejected"]) == (24, 24, 20, {})
    assert (account["steps"], account["steps_dropped"]) == (24, {})
    assert account["conversations"]["train"] + account["conversations"]["val"] == 4
    expected = {
        text for n in range(4) for k in range(3) for text in (f"Ask {k} Port{n}.", f"Tell {k} Port{n}.")
    }
    targets = _targets(out)
    assert len(targets) == 24
    assert {one.partition("<think>\n")[2].partition("\n</think>")[0] for one in targets} == expected
    sides = [
        {row["conversations"][0]["value"] for row in json.loads((out / f"sft/{side}.json").read_text())}
        for side in ("train", "val")
    ]
    assert sides[0] and sides[1] and not sides[0] & sides[1]
    assert "absorbed" in (out / "card.md").read_text()


def test_a_history_may_have_the_arguments_of_its_calls_in_another_order(
    prepare: Prepare, tmp_path: Path
) -> None:
    tool = {
        "name": "sail",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {"via": {"type": "object", "properties": {}}, "to": {"type": "string"}},
        },
    }
    target = [{"name": "sail", "arguments": {"to": "Skye", "via": {"port": "Oban", "by": 7}}}]
    history = [{"name": "sail", "arguments": {"via": {"by": 7, "port": "Oban"}, "to": "Skye"}}]
    asked = [{"role": "user", "content": "Sail to Skye via Oban by seven."}]
    rows = [
        {"messages": [*asked, {"role": "assistant", "content": None, "tool_calls": target}]},
        {
            "messages": [
                *asked,
                {"role": "assistant", "content": None, "tool_calls": history},
                {"role": "tool", "content": "{'arrives': 9}"},
                {"role": "assistant", "content": "You arrive at nine."},
            ]
        },
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({**row, "tools": [tool]}) + "\n" for row in rows))
    _, result = prepare(
        *("data.datasets=[openai]", f"data.openai.path={tmp_path}/x.jsonl"),
        *("data.val_share=0", "data.decontaminate=off"),
    )
    account = result["sources"]["openai"]
    assert (account["kept"], account["absorbed"], account["steps"]) == (2, 1, 2)


def test_chains_across_files_and_sources_and_formats(prepare: Prepare, tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    rows = _split(_conversation("Bay", 3), thoughts=False)
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[::2]))
    (folder / "b.json").write_text(json.dumps(rows[1:4:2]))
    (tmp_path / "own.jsonl").write_text(json.dumps({"messages": rows[5]}) + "\n")
    out, result = prepare(
        "data.datasets=[funreason_mt,openai]",
        f"data.funreason_mt.path={folder}",
        f"data.openai.path={tmp_path}/own.jsonl",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    first, second = (result["sources"][name] for name in ("funreason_mt", "openai"))
    assert (first["read"], first["kept"], first["absorbed"], first["steps"]) == (5, 5, 5, 0)
    assert (second["read"], second["kept"], second["absorbed"], second["steps"]) == (1, 1, 0, 6)
    assert all("<think>\n\n</think>" not in one for one in _targets(out))


def test_a_response_without_a_thought_or_a_row_of_its_own_is_history(
    prepare: Prepare, tmp_path: Path
) -> None:
    rows = _split(_conversation("Cove", 3), thoughts=False)
    alone = _split(_conversation("Dune", 2), thoughts=False)
    (tmp_path / "x.json").write_text(json.dumps([rows[0], rows[3], rows[5], alone[3]]))
    out, result = prepare(
        "data.datasets=[funreason_mt]",
        f"data.funreason_mt.path={tmp_path}/x.json",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    account = result["sources"]["funreason_mt"]
    assert (account["kept"], account["absorbed"], account["steps"]) == (4, 2, 4)
    assert account["steps_dropped"] == {"untrained": 6}
    assert all("<think>\n\n</think>" not in one for one in _targets(out))


def test_a_data_set_without_thoughts_keeps_all_its_responses(prepare: Prepare, tmp_path: Path) -> None:
    messages = [
        {**one, "content": one["content"].rpartition("</think>")[2]} for one in _conversation("Elm", 2)
    ]
    (tmp_path / "x.json").write_text(json.dumps(_split(messages, thoughts=True)[1:]))
    _, result = prepare(
        "data.datasets=[funreason_mt]",
        f"data.funreason_mt.path={tmp_path}/x.json",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    account = result["sources"]["funreason_mt"]
    assert (account["absorbed"], account["steps"], account["steps_dropped"]) == (2, 4, {})


def test_weights_say_which_row_teaches_a_response(prepare: Prepare, tmp_path: Path) -> None:
    rows = _split(_conversation("Fell", 2), thoughts=False)
    weighed = [
        {
            "messages": [
                {**one, "loss_weight": float(one is row[-1])} if one["role"] == "assistant" else one
                for one in row
            ]
        }
        for row in rows
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in weighed))
    out, result = prepare(
        "data.datasets=[openai]",
        f"data.openai.path={tmp_path}/x.jsonl",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    account = result["sources"]["openai"]
    assert (account["kept"], account["absorbed"], account["steps"], account["steps_dropped"]) == (4, 3, 4, {})
    assert len({one.partition("\n</think>")[0] for one in _targets(out)}) == 4


@pytest.mark.parametrize("dedup", ["near", "exact", "off"])
def test_whole_conversations_that_each_teach_another_response(
    prepare: Prepare, tmp_path: Path, dedup: str
) -> None:
    messages = _conversation("Fell", 2)
    spoken = [number for number, one in enumerate(messages) if one["role"] == "assistant"]
    rows = [
        {
            "messages": [
                one | ({"weight": 0} if n in spoken and n != own else {}) for n, one in enumerate(messages)
            ]
        }
        for own in spoken
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    out, result = prepare(
        "data.datasets=[openai]",
        f"data.openai.path={tmp_path}/x.jsonl",
        *("data.val_share=0", "data.decontaminate=off", f"data.dedup={dedup}"),
    )
    account, again = result["sources"]["openai"], dedup != "off"
    assert account["rejected"] == ({"duplicate": 1} if again else {})
    assert (account["absorbed"], account["steps"], account["steps_dropped"]) == (4 - again, 4, {})
    assert len({one.partition("\n</think>")[0] for one in _targets(out)}) == 4


def test_what_a_rejected_row_had_absorbed_is_rejected_with_it(prepare: Prepare, tmp_path: Path) -> None:
    first, second = (_split(_conversation("Gulf", 4), True), _split(_conversation("Gulf", 4), True))
    for row in second:  # the same task in another thought and one other word
        row[1] = {**row[1], "content": row[1]["content"].replace("Question 0", "Question zero")}
    (tmp_path / "x.json").write_text(json.dumps([*first, *second]))
    out, result = prepare(
        "data.datasets=[funreason_mt]",
        f"data.funreason_mt.path={tmp_path}/x.json",
        *("data.val_share=0", "data.decontaminate=off", "data.max_rejected_share=1"),
    )
    account = result["sources"]["funreason_mt"]
    assert (account["read"], account["kept"], account["absorbed"]) == (16, 8, 7)
    assert account["rejected"] == {"near_duplicate": 8}
    assert len((out / "rejected.jsonl").read_text().splitlines()) == 8


def _links(row: Any) -> bytes:
    return links(funreason_mt.convert(row, KEEP))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7), st.booleans()), min_size=1, max_size=24),
    st.booleans(),
)
def test_each_row_is_in_one_chain_at_most_and_stays_or_is_part_of_a_longer_one(
    chosen: list[tuple[int, int, bool]], tools: bool
) -> None:
    rows, lengths = [], []
    for name, end, thoughts in chosen:
        conversation = _conversation(f"P{name}", 4)
        if not tools:  # then they are inferred, and longer rows call more of them
            conversation = conversation[1:]
        rows.append(_split(conversation, thoughts)[end])
        lengths.append((name, end))
    found = chains([_links(row) for row in rows], ["s"] * len(rows))
    absorbed = [number for one in found for numbers in one.parts.values() for number in numbers]
    assert len(set(absorbed)) == len(absorbed)
    assert not set(absorbed) & {one.whole for one in found}
    left = [lengths[number] for number in range(len(rows)) if number not in absorbed]
    assert sorted(left) == sorted(
        {name: max(e for n, e in lengths if n == name) for name, _ in lengths}.items()
    )
    for one in found:
        for place, numbers in one.parts.items():
            assert all(lengths[number] == (lengths[one.whole][0], place) for number in numbers)
