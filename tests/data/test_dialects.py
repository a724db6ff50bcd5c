"""Conversations as other APIs and libraries write them: Responses, Gemini, Bedrock, LangChain, Vercel and more."""

# ruff: noqa: E501
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from data.dialect_writers import TOOLS, WRITERS, Row
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen_mt, openai
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue.messages import AssistantStep, Trajectory, Turn

OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought"}


def _read(row: Any) -> Trajectory:
    return openai.convert(json.loads(json.dumps(row)), OPTIONS)


_WORDS = st.text(st.characters(categories=["L", "Nd"], exclude_characters="\u0130"), min_size=1, max_size=9)
_TEXT = st.lists(_WORDS, min_size=1, max_size=4).map(" ".join)
_CALLS = st.builds(
    Call,
    st.sampled_from(["look_up", "book"]),
    st.fixed_dictionaries({}, optional={"a": st.integers(-9, 9), "b": st.lists(_TEXT, max_size=2)}),
)
_RESULT = st.dictionaries(_WORDS, st.integers() | _TEXT | st.none(), max_size=2).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)


@st.composite
def _steps(draw: Callable[..., Any]) -> tuple[AssistantStep, ...]:
    thoughts = st.just("") | _TEXT
    steps = []
    for _ in range(draw(st.integers(0, 2))):
        calls = tuple(draw(st.lists(_CALLS, min_size=1, max_size=3, unique_by=lambda call: call.name)))
        results = tuple(draw(_RESULT) for _ in calls)
        steps.append(AssistantStep(draw(thoughts), calls, "", results))
    return (*steps, AssistantStep(draw(thoughts), (), draw(_TEXT)))


_TURNS = st.lists(st.builds(Turn, _TEXT, _steps()), min_size=1, max_size=3).map(tuple)


@pytest.mark.parametrize("written", WRITERS)
@given(system=_TEXT, turns=_TURNS)
def test_a_conversation_is_read_as_it_was(written: str, system: str, turns: tuple[Turn, ...]) -> None:
    row = WRITERS[written](system, turns)
    found = _read(row)
    assert (found.system, found.turns, list(found.tools)) == (system, turns, TOOLS)
    assert not found.meta.get("flags")
    if written != "responses":  # the bare list, as a line of a file may hold it
        key = "contents" if written == "gemini" else "messages"
        assert _read(row[key]).turns == turns


_DONE = AssistantStep("", (), "It is done.")
_PLAIN = (
    Turn(
        "Please look it up.", (AssistantStep("Hm.", (Call("look_up", {"a": 1}),), "", ('{"x": 1}',)), _DONE)
    ),
)


def _changed(written: str, change: Callable[[Row], Any]) -> Row:
    row = json.loads(json.dumps(WRITERS[written]("Be kind.", _PLAIN)))
    change(row)
    return row  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("written", "change", "reason", "named"),
    [
        ("responses", lambda r: r["input"].append({"type": "web_search_call", "id": "x"}), "row_shape", "web_search_call"),
        ("responses", lambda r: r["input"][2].update(namespace="n"), "call_syntax", "namespace"),
        ("responses", lambda r: r["input"][4].update(status="incomplete"), "cut_off", "incomplete"),
        ("responses", lambda r: r.update(status="incomplete"), "cut_off", "incomplete"),
        ("responses", lambda r: r.update(previous_response_id="resp_0"), "row_shape", "previous_response_id"),
        ("responses", lambda r: r["input"][3].update(call_id="other"), "result_without_call", "other"),
        ("responses", lambda r: r["input"].append(r["input"][4]), "role_order", "two responses"),
        ("responses", lambda r: r["tools"].append({"type": "web_search"}), "tool_shape", "name"),
        ("gemini", lambda r: r["contents"][1]["parts"].append({"inlineData": {"data": "x"}}), "row_shape", "inlineData"),
        ("gemini", lambda r: r["contents"][1]["parts"][1]["functionCall"].update(willContinue=True), "call_syntax", "willContinue"),
        ("gemini", lambda r: r["contents"][1]["parts"].append({"executableCode": {"code": "x"}}), "row_shape", "executableCode"),
        ("gemini", lambda r: r.update(candidates=[{"content": {}}, {"content": {}}]), "row_shape", "2 answers"),
        ("gemini", lambda r: r.update(candidates=[{"finishReason": "MAX_TOKENS", "content": {"parts": []}}]), "cut_off", "MAX_TOKENS"),
        ("gemini", lambda r: r["contents"][2]["parts"][0]["functionResponse"].pop("response"), "row_shape", "response"),
        ("gemini", lambda r: r["tools"].append({"googleSearch": {}}), "tool_shape", "name"),
        ("bedrock", lambda r: r["messages"][0]["content"].append({"image": {"format": "png"}}), "row_shape", "image"),
        ("bedrock", lambda r: r["messages"][1]["content"][1]["toolUse"].update(type="server_tool_use"), "row_shape", "server_tool_use"),
        ("bedrock", lambda r: r["messages"][1]["content"][0].update(text="also"), "row_shape", "reasoningContent and text"),
        ("bedrock", lambda r: r.update(stopReason="max_tokens"), "cut_off", "max_tokens"),
        ("bedrock", lambda r: r["messages"][2]["content"][0]["toolResult"]["content"].append({"image": {}}), "row_shape", "image"),
        ("langchain_data", lambda r: r["messages"][2]["data"].update(invalid_tool_calls=[{"name": "x"}]), "call_syntax", "invalid_tool_calls"),
        ("langchain_data", lambda r: r["messages"][2]["data"]["tool_calls"][0]["args"].update(a=2), "call_syntax", "different"),
        ("langchain_data", lambda r: r["messages"][4]["data"].update(response_metadata={"finish_reason": "length"}), "cut_off", "length"),
        ("langchain_flat", lambda r: r["messages"][2]["tool_calls"][0].update(extra={"b": 1}), "call_syntax", "extra"),
        ("vercel", lambda r: r["messages"][2]["parts"][2].update(state="input-streaming"), "cut_off", "input-streaming"),
        ("vercel", lambda r: r["messages"][2]["parts"].append({"type": "file", "url": "x"}), "row_shape", "file"),
        ("vercel", lambda r: r["messages"][2].update(content="Other."), "row_shape", "content and its parts differ"),
        ("vercel", lambda r: r["messages"][2].update(toolInvocations=[{"toolName": "book", "args": {"a": 2}}]), "call_syntax", "toolInvocations"),
        ("llamaindex", lambda r: r["messages"][1]["blocks"].append({"block_type": "image", "url": "x"}), "row_shape", "image"),
        ("llamaindex", lambda r: r["messages"][2]["additional_kwargs"].update(tool_calls=[{"name": "book", "arguments": {}}]), "call_syntax", "different"),
        ("langchain_lc", lambda r: r["messages"][1].update(id=["langchain", "RemoveMessage"]), "row_shape", "RemoveMessage"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(written: str, change: Any, reason: str, named: str) -> None:
    with pytest.raises(RowError, match=named) as caught:
        _read(_changed(written, change))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("written", "change", "flag"),
    [
        ("responses", lambda r: r.update(model="gpt-x"), "unread_row_field:model"),
        ("responses", lambda r: r["input"][1].update(encrypted_content="x"), "unread_message_field:encrypted_content"),
        ("responses", lambda r: r["input"][4]["content"][0].update(annotations=[1]), "unread_part_field:annotations"),
        ("gemini", lambda r: r["contents"][1]["parts"][1].update(thoughtSignature="x"), "unread_part_field:thoughtSignature"),
        ("gemini", lambda r: r.update(generationConfig={"t": 1}), "unread_row_field:generationConfig"),
        ("gemini", lambda r: r["contents"][2]["parts"][0]["functionResponse"].update(scheduling="x"), "unread_message_field:scheduling"),
        ("bedrock", lambda r: r["toolConfig"].update(toolChoice={"auto": {"x": 1}}), "unread_row_field:toolChoice"),
        ("bedrock", lambda r: r["messages"][0]["content"].append({"cachePoint": {"type": "default"}}), "unread_part_field:cachePoint"),
        ("bedrock", lambda r: r["messages"][2]["content"][0]["toolResult"].update(status="error"), "unread_part_field:status"),
        ("vercel", lambda r: r["messages"][2]["parts"].append({"type": "source-url", "url": "x"}), "unread_part_field:source-url"),
        ("vercel", lambda r: r["messages"][2]["parts"][1].update(details=[{"type": "redacted", "data": "x"}]), "unread_part_field:details"),
        ("llamaindex", lambda r: r["messages"][2]["additional_kwargs"].update(cost=3), "unread_message_field:cost"),
        ("langchain_data", lambda r: r["messages"][3]["data"].update(artifact={"x": 1}), "unread_message_field:artifact"),
        ("langchain_lc", lambda r: r["messages"][2]["kwargs"].update(usage_metadata={"n": 1}), "unread_message_field:usage_metadata"),
        ("langchain_flat", lambda r: r["messages"][2]["additional_kwargs"].update(audio={"x": 1}), "unread_message_field:additional_kwargs.audio"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_flagged(written: str, change: Any, flag: str) -> None:
    found = _read(_changed(written, change))
    assert found.turns == _PLAIN
    assert flag in found.meta["flags"]


def test_the_answer_of_an_api_ends_the_conversation() -> None:
    for written, take in (
        ("responses", lambda r: r.update(output=r["input"][4:], input=r["input"][:4], status="completed")),
        (
            "gemini",
            lambda r: r.update(
                candidates=[{"content": r["contents"].pop(), "finishReason": "STOP", "index": 0}]
            ),
        ),
        ("bedrock", lambda r: r.update(output={"message": r["messages"].pop()}, stopReason="end_turn")),
    ):
        assert _read(_changed(written, take)).turns == _PLAIN


def test_they_go_through_the_stage(
    prepare: Callable[..., tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as stream:
        for number, (name, write) in enumerate(WRITERS.items()):
            turns = (Turn(f"Please look up number {number} for {name}.", _PLAIN[0].steps),)
            stream.write(json.dumps(write("Be kind.", turns)) + "\n")
    words = ("data.val_share=0", "data.decontaminate=off", "data.dedup=exact", "data.datasets=[openai]")
    out, result = prepare(*words, f"data.openai.path={path}")
    assert result["sources"]["openai"]["kept"] == len(WRITERS)
    shown = (out / "sft" / "train.json").read_text()
    assert shown.count("[look_up(a=1)]") >= len(WRITERS)


ASKED = [{"role": "user", "content": "Please look it up."}]
SPOKEN = {"role": "assistant", "content": "It is done."}
SHARED = [{"from": "human", "value": "Please look it up."}]
REPLY = (Turn("Please look it up.", (_DONE,)),)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": ASKED, "choices": [{"index": 0, "finish_reason": "stop", "message": SPOKEN}]},
        {"messages": ASKED, "response": {"choices": [{"message": SPOKEN, "finish_reason": "stop"}]}},
        {"messages": ASKED, "response": SPOKEN | {"type": "message", "stop_reason": "end_turn"}},
        {"messages": ASKED, "response": "It is done."},
        {"request": {"messages": ASKED}, "response": {"choices": [{"message": SPOKEN}]}},
        {"prompt": ASKED, "completion": [SPOKEN]},
        {"prompt": ASKED, "completion": [SPOKEN], "label": True},
        {"messages": [*ASKED, SPOKEN], "kto_tag": True},
        {"prompt": ASKED, "chosen": [SPOKEN]},
        {"prompt": ASKED, "chosen": SPOKEN},
        {"messages": ASKED, "chosen": SPOKEN},
        {"messages": ASKED, "chosen": [SPOKEN]},
        {"messages": ASKED, "chosen": "It is done."},
        {"conversations": SHARED, "chosen": {"from": "gpt", "value": "It is done."}},
        {"conversations": SHARED, "chosen": SPOKEN},
        {"chosen": [*ASKED, SPOKEN]},
        {"prompt": ASKED[0]["content"], "chosen": [*ASKED, SPOKEN]},
    ],
)
def test_an_answer_beside_its_request(row: Row) -> None:
    found = _read({**row, "tools": []})
    assert found.turns == REPLY and not found.meta.get("flags")


def test_of_a_preference_the_chosen_answer_is_read_and_the_other_one_named() -> None:
    worse = {"role": "assistant", "content": "No."}
    found = _read({"prompt": ASKED, "chosen": [SPOKEN], "rejected": [worse], "tools": []})
    assert found.turns == REPLY and found.meta["flags"] == ["unread_row_field:rejected"]


def test_llamafactorys_preference_rows_are_read_as_sharegpt_too() -> None:
    call = {"from": "function_call", "value": '{"name": "look_up", "arguments": {"a": 1}}'}
    row = {
        "conversations": SHARED,
        "tools": json.dumps(TOOLS),
        "chosen": call,
        "rejected": {"from": "gpt", "value": "I cannot."},
    }
    found = apigen_mt.convert(row, {"tools_missing": "infer"})
    assert found.turns[0].user == "Please look it up."
    assert [one.name for one in found.turns[0].steps[0].calls] == ["look_up"]
    assert found.meta["flags"] == ["unread_row_field:rejected"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": ASKED, "completion": [SPOKEN], "label": False}, "unwanted: the row's label"),
        ({"messages": [*ASKED, SPOKEN], "kto_tag": False}, "unwanted: the row's kto_tag"),
        (
            {"messages": ASKED, "choices": [{"message": SPOKEN}, {"message": SPOKEN}]},
            "row_shape: choices holds 2",
        ),
        ({"messages": ASKED, "choices": [{"finish_reason": "length", "message": SPOKEN}]}, "cut_off"),
        ({"request": {"messages": ASKED, "tools": TOOLS}, "tools": [], "response": "Hm."}, None),
        ({"request": {"messages": ASKED, "model": "a"}, "model": "b", "response": "Hm."}, "row_shape: model"),
        (
            {"messages": ASKED, "choices": [{"message": SPOKEN}], "response": "Hm."},
            "row_shape: choices and response",
        ),
    ],
)
def test_an_answer_that_is_not_clear(row: Row, reason: str | None) -> None:
    if reason is None:
        assert list(_read(row).tools) == TOOLS
        return
    with pytest.raises(RowError, match=reason):
        _read(row)


def test_what_vercels_version_4_says_twice_is_no_loss() -> None:
    row = WRITERS["vercel"]("Be kind.", _PLAIN)
    row["messages"][2]["parts"][1]["details"] = [{"type": "text", "text": "Hm.", "signature": "s"}]
    found = _read(row)
    assert found.turns == _PLAIN and not found.meta.get("flags")


def test_coheres_first_api() -> None:
    calls: list[Row] = [{"name": "look_up", "parameters": {"a": a}} for a in (1, 2)]
    results: list[Row] = [
        {"call": call, "outputs": [{"x": call["parameters"]["a"]}]} for call in reversed(calls)
    ]
    row = {
        "preamble": "Be kind.",
        "chat_history": [
            {"role": "USER", "message": "Look twice."},
            {"role": "CHATBOT", "message": "", "tool_calls": calls},
            {"role": "TOOL", "tool_results": results},
            {"role": "CHATBOT", "message": "Twice."},
        ],
        "message": "Thanks.",
        "text": "Gladly.",
        "tools": [{"name": "look_up", "description": "", "parameter_definitions": {"a": {"type": "int", "required": True}}}],
    }  # fmt: skip
    found = _read(row)
    step = found.turns[0].steps[0]
    assert step.calls == (Call("look_up", {"a": 1}), Call("look_up", {"a": 2}))
    assert step.results == ('[{"x": 1}]', '[{"x": 2}]')
    assert (found.system, found.turns[1].steps[0].text) == ("Be kind.", "Gladly.")
    assert not found.meta.get("flags")
    results[0]["call"] = {"name": "look_up", "parameters": {"a": 3}}
    with pytest.raises(RowError, match="result_without_call"):
        _read(row)


_FREE = (
    "args",
    "arguments",
    "parameters",
    "input",
    "tool_kwargs",
    "output",
    "properties",
    "inputSchema",
    "response",
)


def _objects(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where objects stand whose keys mean something: not in arguments, results and schemas."""
    items = list(
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    if isinstance(value, dict):
        yield place
    for key, inner in items:
        if key not in _FREE or (isinstance(inner, list) and place == ()):
            yield from _objects(inner, (*place, key))


@pytest.mark.parametrize("written", WRITERS)
def test_a_key_that_nobody_knows_is_named_wherever_it_stands(written: str) -> None:
    lost = []
    for place in _objects(WRITERS[written]("Be kind.", _PLAIN)):
        row = WRITERS[written]("Be kind.", _PLAIN)
        holder: Any = row
        for key in place:
            holder = holder[key]
        holder["whereto"] = "north"
        try:
            found = _read(row)
        except RowError:
            continue
        if not any("whereto" in flag for flag in found.meta.get("flags", ())) and "north" not in repr(found):
            lost.append(place)
    assert not lost
