"""Fields of messages that would not be seen: read, named in a flag, or the row is rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen, openai
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import Trajectory

OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought"}
TOOLS = [
    {
        "name": "mow",
        "description": "Mows a lawn.",
        "parameters": {"type": "object", "properties": {"lawn": {"type": "string"}}, "required": ["lawn"]},
    },
    {"name": "wait", "description": "Waits.", "parameters": {"type": "object", "properties": {}}},
]
CALL = {"name": "mow", "arguments": {"lawn": "south"}}
MOW = Call("mow", {"lawn": "south"})


def _read(*said: dict[str, Any], tools: Any = TOOLS) -> Trajectory:
    return openai.convert(
        {"messages": [{"role": "user", "content": "The south lawn."}, *said], "tools": tools}, OPTIONS
    )


def _flags(found: Trajectory) -> list[str]:
    return list(found.meta.get("flags", []))


@pytest.mark.parametrize(
    "field",
    ["tool_calls", "function_calls", "toolCalls", "calls", "functionCall", "function_call", "tool_uses"],
)
@pytest.mark.parametrize("write", [lambda one: one, json.dumps, str], ids=["value", "JSON", "Python"])
def test_calls_are_read_under_every_name_of_their_field(field: str, write: Any) -> None:
    for value in (CALL, [CALL]):
        found = _read({"role": "assistant", "content": "", field: write(value)})
        assert found.turns[0].steps[0].calls == (MOW,)


@pytest.mark.parametrize(
    "said",
    [
        {"tool_use": CALL},
        {"function": CALL},
        {"action": "mow", "action_input": {"lawn": "south"}},
        {"additional_kwargs": {"tool_calls": [CALL]}},
        {"extra": json.dumps([CALL])},
        {"api": {"name": "mow", "parameters": {"lawn": "south"}}},
    ],
)
def test_a_reply_is_not_taught_in_the_place_of_calls_that_are_not_read(said: dict[str, Any]) -> None:
    with pytest.raises(RowError, match=f"call_syntax: a response has calls under {next(iter(said))}"):
        _read({"role": "assistant", "content": "I will mow it.", **said})


@pytest.mark.parametrize("none", [None, "", [], "None", "null", "[]", "{}", "nan"])
def test_calls_that_are_none(none: Any) -> None:
    found = _read({"role": "assistant", "content": "Which lawn?", "tool_calls": none})
    assert found.turns[0].steps[0].text == "Which lawn?" and _flags(found) == []


@pytest.mark.parametrize("none", [None, "", "None", "null", "nan"])
def test_a_content_beside_calls_that_is_none_is_no_thought(none: Any) -> None:
    (step,) = _read({"role": "assistant", "content": none, "tool_calls": [CALL]}).turns[0].steps
    assert (step.thought, step.calls) == ("", (MOW,))


def test_a_wrapper_may_be_json_text() -> None:
    call = {"id": "c1", "type": "function", "function": json.dumps(CALL)}
    assert _read({"role": "assistant", "tool_calls": [call]}).turns[0].steps[0].calls == (MOW,)
    row = {"query": "Mow.", "answers": json.dumps([call]), "tools": json.dumps(TOOLS)}
    assert apigen.convert(row, OPTIONS).turns[0].steps[0].calls == (MOW,)


@pytest.mark.parametrize("key", ["loss_mask", "trainable", "training", "should_train", "compute_loss"])
@pytest.mark.parametrize("value", [0, False, "false", "0"])
def test_more_words_for_a_weight(key: str, value: Any) -> None:
    later = ({"role": "user", "content": "And north?"}, {"role": "assistant", "content": "Done.", key: 1})
    found = _read({"role": "assistant", "content": "Done twice.", key: value}, *later)
    assert found.meta == {"untrained": ["0.0"]}


@pytest.mark.parametrize("key", ["masked", "ignore_loss", "no_loss"])
def test_words_that_say_it_the_other_way_round(key: str) -> None:
    later = ({"role": "user", "content": "And north?"}, {"role": "assistant", "content": "Done.", key: False})
    found = _read({"role": "assistant", "content": "Done twice.", key: True}, *later)
    assert found.meta == {"untrained": ["0.0"]}


@pytest.mark.parametrize("key", ["output", "result", "error", "response"])
def test_a_result_under_another_name_is_not_read_as_an_empty_one(key: str) -> None:
    with pytest.raises(RowError, match=f"no content, but {key}"):
        _read({"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", key: "mown"})
    found = _read({"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "mown", key: 5})
    assert found.turns[0].steps[0].results == ("mown",) and _flags(found) == [f"unread_message_field:{key}"]


def test_a_picture_in_a_result_is_not_shown_as_its_bytes() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(RowError, match="image_url"):
        _read({"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": [part]})
    text = {"type": "text", "text": "mown"}
    with pytest.raises(RowError, match="image_url"):
        _read({"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": [text, part]})
    found = _read(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": [{"type": "lawn"}]}
    )
    assert found.turns[0].steps[0].results == ('[{"type": "lawn"}]',)


def test_a_result_that_names_another_tool_is_flagged() -> None:
    found = _read(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "name": "sow", "content": "x"}
    )
    assert _flags(found) == ["result_of_another_tool"]


def test_a_refusal() -> None:
    part = [{"type": "refusal", "refusal": "I do not mow at night."}]
    assert _read({"role": "assistant", "content": part}).turns[0].steps[0].text == "I do not mow at night."
    found = _read({"role": "assistant", "content": "Done.", "refusal": "I do not mow at night."})
    assert _flags(found) == ["unread_message_field:refusal"]


@pytest.mark.parametrize("roles", [("User", "Assistant"), ("HUMAN", "GPT"), ("human", "ai")])
def test_roles_in_any_case(roles: tuple[str, str]) -> None:
    messages = [
        {"role": who, "content": text} for who, text in zip(roles, ("Mow.", "Which lawn?"), strict=True)
    ]
    found = openai.convert({"messages": messages, "tools": TOOLS}, OPTIONS)
    assert [(turn.user, turn.steps[0].text) for turn in found.turns] == [("Mow.", "Which lawn?")]


def test_a_response_to_a_tool_is_no_reply() -> None:
    def row(recipient: str) -> dict[str, Any]:
        said = {"role": "assistant", "recipient": recipient, "content": '{"a": 1}'}
        return {"messages": [{"role": "user", "content": "q"}, said], "tools": []}

    with pytest.raises(RowError, match=r"call_syntax.*functions\.f"):
        openai.convert(row("functions.f"), OPTIONS)
    assert openai.convert(row("all"), OPTIONS).turns[0].steps[0].text == '{"a": 1}'
