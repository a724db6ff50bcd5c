"""What a task, or a row that synth made, holds is used, or named in a flag, or the row is rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.data.read.formats import funreason_mt
from funreason_train.data.read.formats import tasks as task_source
from funreason_train.data.read.rows import RowError, flag_meaning
from funreason_train.environments.gold import gold_conversation
from funreason_train.environments.tasks import Task
from funreason_train.synth.embedded.generate import tasks as own_tasks
from funreason_train.synth.rows import conversation_row

OPTIONS = {"tools_missing": "infer", "error_tool_response": "keep"}
TASK: dict[str, Any] = json.loads(json.dumps(next(iter(own_tasks("train", 1, 5, {"chain": 1.0}))).to_json()))
KEYS = st.text("abcdefgh_", min_size=3, max_size=9)
VALUES = st.sampled_from(["TOKEN", ["TOKEN"], {"TOKEN": 1}, {"a": "TOKEN"}, 0, False])


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _made() -> dict[str, Any]:
    row: dict[str, Any] = _copy(conversation_row(gold_conversation(Task.from_json(TASK))))
    return row


@given(st.sampled_from(["row", "turn", "call", "arguments"]), KEYS, VALUES)
def test_an_unknown_key_anywhere_in_a_task(level: str, key: str, value: Any) -> None:
    row = _copy(TASK)
    turn = row["turns"][0]
    call = next(call for turn in row["turns"] for step in turn["steps"] for call in step)
    holder = {"row": row, "turn": turn, "call": call, "arguments": call["arguments"]}[level]
    if key in holder:
        return
    holder[key] = value
    try:
        found = task_source.convert(row, {})
    except RowError as error:
        assert level in ("call", "arguments") and key in error.detail
        return
    assert any(key in flag and flag_meaning(flag) for flag in found.meta["flags"])


@given(st.sampled_from(["synth", "task", "turn", "call", "demonstration"]), KEYS, VALUES)
def test_an_unknown_key_anywhere_in_what_synth_says(level: str, key: str, value: Any) -> None:
    row = _made()
    synth = row["synth"]
    synth["demonstration"] = {"0.0": {"thought": "", "calls": [], "text": "Which one?"}}
    task = synth["task"]
    call = next(call for turn in task["turns"] for step in turn["steps"] for call in step)
    places = {"synth": synth, "task": task, "turn": task["turns"][0], "call": call}
    holder = places.get(level, synth["demonstration"]["0.0"])
    if key in holder:
        return
    holder[key] = value
    try:
        found = funreason_mt.convert(row, OPTIONS)
    except RowError as error:
        assert level != "synth" and error.detail
        return
    assert any(key in flag and flag_meaning(flag) for flag in found.meta["flags"])


@pytest.mark.parametrize("key", ["args", "parameters", "input"])
def test_arguments_of_a_gold_call_are_read_under_every_key(key: str) -> None:
    row = _copy(TASK)
    for turn in row["turns"]:
        turn["steps"] = [
            [{"name": call["name"], key: call["arguments"]} for call in step] for step in turn["steps"]
        ]
    found = task_source.convert(row, {})
    assert found.meta["task"] == TASK
    called = [call for turn in found.turns for step in turn.steps for call in step.calls]
    assert called == [
        Call.from_json(call) for turn in TASK["turns"] for step in turn["steps"] for call in step
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": 5}, "id is a int, not a text"),
        ({"environment": None}, "environment is a NoneType, not a text"),
        ({"environment": ["shop"]}, "environment is a list, not a text"),
        ({"turns": {"user": "Hello."}}, "turns is a dict, not a list"),
        ({"turns": ["Hello."]}, "a turn is a str"),
        ({"turns": [{"user": 5, "steps": [], "text": "Yes."}]}, "user is a int, not a text"),
        ({"turns": [{"user": "Hm?", "steps": [], "text": None}]}, "text is a NoneType, not a text"),
        ({"turns": [{"user": "Hm?", "steps": "none", "text": "Yes."}]}, "steps is a str, not a list"),
        ({"turns": [{"user": "Hm?", "steps": [["f"]], "text": "Yes."}]}, "a call is a str, not an object"),
        ({"turns": [{"user": "Hm?", "steps": [[{"name": "f", "x": 1}]], "text": "Yes."}]}, "x, which is not"),
    ],
)
def test_what_is_no_task_is_told_in_a_sentence(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RowError) as caught:
        task_source.convert({**TASK, **change}, {})
    assert says in caught.value.detail and "\n" not in caught.value.detail
