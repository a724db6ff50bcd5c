"""Conversations in ShareGPT form, as APIGen-MT has them, whole and broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen_mt
from funreason_train.data.read.rows import RowError

INFER = {"tools_missing": "infer", "text_with_calls": "thought"}


def _share(*messages: tuple[str, str], **rest: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": value} for who, value in messages], **rest}


def test_a_conversation_of_apigen_mt() -> None:
    row = _share(
        ("human", "Cancel my order."),
        ("gpt", "Which one?"),
        ("human", "4711"),
        ("function_call", '{"name": "cancel", "arguments": {"order": "4711"}}'),
        ("observation", '{"status": "cancelled"}'),
        ("gpt", "It is cancelled."),
        system="# Policy\nBe kind.",
        tools=json.dumps(
            [
                {
                    "name": "cancel",
                    "description": "d",
                    "parameters": {"properties": {"order": {"type": "string"}}},
                }
            ]
        ),
    )
    trajectory = apigen_mt.convert(row, INFER)
    assert [[step.text for step in turn.steps] for turn in trajectory.turns] == [
        ["Which one?"],
        ["", "It is cancelled."],
    ]
    made = trajectory.turns[1].steps[0]
    assert (made.calls, made.results) == ((Call("cancel", {"order": "4711"}),), ('{"status": "cancelled"}',))
    assert trajectory.system == "# Policy\nBe kind."
    assert [tool["name"] for tool in trajectory.tools] == ["cancel"]
    assert not trajectory.meta


def test_other_converters_names_for_the_same_roles_and_values_that_are_not_text() -> None:
    call = {"name": "f", "arguments": {"a": 1}}
    usual = _share(
        ("human", "q"), ("function_call", json.dumps(call)), ("observation", '{"x": 1}'), ("gpt", "x")
    )
    other = {
        "conversations": [
            {"from": "user", "value": "q"},
            {"from": "tool_call", "value": call},
            {"from": "tool_response", "value": {"x": 1}},
            {"from": "chatgpt", "value": "x"},
        ]
    }
    assert apigen_mt.convert(other, INFER) == apigen_mt.convert(usual, INFER)


def test_parallel_calls_and_an_empty_observation() -> None:
    calls = '[{"name": "f", "arguments": {}}, {"name": "g", "arguments": "{\\"a\\": 1}"}]'
    row = _share(
        ("human", "q"), ("function_call", calls), ("observation", ""), ("observation", "2"), ("gpt", "x")
    )
    step = apigen_mt.convert(row, INFER).turns[0].steps[0]
    assert step.calls == (Call("f"), Call("g", {"a": 1}))
    assert step.results == ("", "2")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([], "row_shape"),
        ({}, "row_shape"),
        (_share(("human", "q"), ("function_call", '{"name": "f", ')), "invalid_json"),
        (_share(("human", "q"), ("function_call", "f(a=1)")), "invalid_json"),
        (_share(("human", "q"), ("function_call", "[]")), "empty_answer"),
        (_share(("human", "q"), ("gpt", "")), "empty_answer"),
        (_share(("human", "q"), ("gpt", "hi"), ("observation", "x")), "result_without_call"),
        (_share(("human", "q"), ("human", "r"), ("gpt", "hi")), "role_order"),
        (_share(("gpt", "hi"), ("human", "q")), "role_order"),
        (_share(("wizard", "hi")), "row_shape"),
        ({"conversations": [{"from": "human", "value": None}]}, "row_shape"),
        (_share(("human", "q"), ("gpt", "hi"), tools="["), "invalid_json"),
    ],
)
def test_broken_rows_of_apigen_mt(row: Any, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        apigen_mt.convert(row, INFER)
    assert caught.value.reason == reason
