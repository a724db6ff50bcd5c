"""Rows in the shapes in which peers publish theirs, in our own wording, and what must become of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen_mt, openai
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue.messages import Trajectory

OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought"}
SCHEMA = {
    "type": "object",
    "properties": {"dog": {"type": "string"}, "minutes": {"type": "integer"}},
    "required": ["dog"],
}
TOOL = {"name": "walk", "description": "Takes a dog for a walk.", "parameters": SCHEMA}
OPENAI_TOOL = {"type": "function", "function": TOOL}
USER = {"role": "user", "content": "Please take Rex out."}
CALL = {"name": "walk", "arguments": {"dog": "Rex"}}
CALLED = {"id": "w1", "type": "function", "function": {"name": "walk", "arguments": '{"dog": "Rex"}'}}


def _chat(*messages: Any, **rest: Any) -> Trajectory:
    row = {"messages": [USER, *messages], "tools": [OPENAI_TOOL], **rest}
    return openai.convert(json.loads(json.dumps(row)), OPTIONS)


def _said(found: Trajectory) -> list[tuple[str, list[str], str]]:
    return [
        (step.thought, [call.arguments["dog"] for call in step.calls], step.text)
        for turn in found.turns
        for step in turn.steps
    ]


def test_a_plan_before_calls_is_a_thought() -> None:
    plan = {"role": "assistant", "tool_plan": "Rex needs air.", "tool_calls": [CALLED]}
    done = {"role": "Chatbot", "content": "He was out."}
    found = _chat(plan, {"role": "tool", "tool_call_id": "w1", "content": "ok"}, done)
    assert _said(found) == [("Rex needs air.", ["Rex"], ""), ("", [], "He was out.")]
    assert "flags" not in found.meta


def test_a_thought_made_of_parts() -> None:
    thought = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "Hm, "}, {"type": "text", "text": "well."}],
    }
    found = _chat({"role": "assistant", "content": [thought, {"type": "text", "text": "Gladly."}]})
    assert _said(found) == [("Hm, well.", [], "Gladly.")]


@pytest.mark.parametrize("key", ["finish_reason", "stop_reason", "finishReason", "stopReason"])
def test_a_response_that_was_broken_off_is_no_target(key: str) -> None:
    for reason in (
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "out_of_tokens",
        "content_filter",
        "SAFETY",
        "model_length",
    ):
        with pytest.raises(RowError, match=reason) as caught:
            _chat({"role": "assistant", "content": "He was o", key: reason})
        assert caught.value.reason == "cut_off"
    for ended in ("stop", "end_turn", "STOP", "tool_use", None, ""):
        assert "flags" not in _chat({"role": "assistant", "content": "He was out.", key: ended}).meta
    found = _chat({"role": "assistant", "content": "He was out.", key: "because"})
    assert found.meta["flags"] == [f"unread_message_field:{key}"]


@pytest.mark.parametrize(
    "mark", ["<|endoftext|>", "<|im_end|>", "</s>", "<|eot_id|>", "<end_of_turn>", " <|im_end|>\n</s>"]
)
def test_an_end_marker_is_not_taught(mark: str) -> None:
    found = _chat({"role": "assistant", "content": f"He was out.{mark}\n"})
    assert _said(found) == [("", [], "He was out.")]
    assert found.meta["flags"] == ["end_marker_dropped"]
    called = _chat({"role": "assistant", "content": f"<functioncall> {json.dumps(CALL)} {mark}"})
    assert _said(called) == [("", ["Rex"], "")]
    with pytest.raises(RowError, match="neither calls nor text"):
        _chat({"role": "assistant", "content": mark})


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: bool(text.strip())))
def test_other_ends_of_a_text_stay(text: str) -> None:
    said = text.strip() + ". That is all <s>I know</s>"
    try:
        found = _chat({"role": "assistant", "content": said})
    except RowError:
        return  # a call, or half of a thought
    assert _said(found)[-1][2] == said and "end_marker_dropped" not in found.meta.get("flags", ())


def test_results_say_by_several_names_which_call_they_answer() -> None:
    two = [
        {
            "id": f"c{n}",
            "type": "function",
            "function": {"name": "walk", "arguments": json.dumps({"dog": dog})},
        }
        for n, dog in enumerate(("Rex", "Otto"))
    ]
    for key in ("tool_call_id", "tool_use_id", "call_id", "toolCallId", "id"):
        answers = [
            {"role": "tool", key: f"c{n}", "content": text} for n, text in ((1, "Otto ran"), (0, "Rex ran"))
        ]
        found = _chat({"role": "assistant", "content": "", "tool_calls": two}, *answers)
        assert found.turns[0].steps[0].results == ("Rex ran", "Otto ran"), key
        assert "flags" not in found.meta
    answer = {"role": "tool", "tool_call_id": "c0", "call_id": "c1", "content": "x"}
    with pytest.raises(RowError, match="tool_call_id and call_id, which differ"):
        _chat({"role": "assistant", "content": "", "tool_calls": two}, answer)


def test_parallel_calls_in_messages_of_their_own() -> None:
    """As ms-swift writes them."""
    calls = [
        {"role": "tool_call", "content": json.dumps({**CALL, "arguments": {"dog": dog}})}
        for dog in ("Rex", "Otto")
    ]
    answers = [{"role": "tool_response", "content": text} for text in ("Rex ran", "Otto ran")]
    found = _chat(*calls, *answers, {"role": "assistant", "content": "Both were out."})
    assert _said(found) == [("", ["Rex", "Otto"], ""), ("", [], "Both were out.")]
    assert found.turns[0].steps[0].results == ("Rex ran", "Otto ran")
    for odd in ({**calls[1], "thought": "Hm."}, {"role": "tool_call", "content": "[walk(dog='Otto')]"}):
        with pytest.raises(RowError, match="two responses in a row"):
            _chat(calls[0], odd, *answers)


OTHER = {"name": "feed", "description": "Feeds a dog.", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    "listed",
    [
        "Here are your tools: <tools>{}</tools> Answer.",
        "Here are your tools: <tools>{}{}</tools> Answer.",
        "Here are your tools: <tools> {}, {} </tools> Answer.",
        "Here are your tools:\n<tools>\n{}\n{}\n</tools> Answer.",
        "<|im_system|>tool_declare<|im_middle|>[{}, {}]<|im_end|>",
    ],
)
@pytest.mark.parametrize("wrap", [lambda tool: tool, lambda tool: {"type": "function", "function": tool}])
def test_tools_in_a_system_prompt_are_found_where_they_stand(listed: str, wrap: Any) -> None:
    tools = [TOOL, OTHER][: listed.count("{}")]
    system = listed.format(*(json.dumps(wrap(tool)) for tool in tools))
    said = [
        ("system", system),
        ("human", "Take Rex out."),
        ("gpt", f"<tool_call>{json.dumps(CALL)}</tool_call>"),
    ]
    row = {"conversations": [{"from": who, "value": text} for who, text in said]}
    found = apigen_mt.convert(row, OPTIONS)
    assert [tool["name"] for tool in found.tools] == [tool["name"] for tool in tools]
    assert set(found.tools[0]["parameters"]["properties"]) == {"dog", "minutes"}
    assert "tools_inferred" not in found.meta["flags"]
    assert "<" not in (found.system or "")


def test_parameters_called_arguments_are_those_of_a_tool() -> None:
    declared = {"name": "walk", "description": "Walks.", "arguments": SCHEMA}
    said = [
        ("system", f"You may call:\n{json.dumps([declared])}"),
        ("human", "Go."),
        ("gpt", "[walk(dog='Rex')]"),
    ]
    found = apigen_mt.convert(
        {"conversations": [{"from": who, "value": text} for who, text in said]}, OPTIONS
    )
    assert set(found.tools[0]["parameters"]["properties"]) == {"dog", "minutes"}
    assert "tools_inferred" not in found.meta.get("flags", ())


def test_an_answer_beside_the_list_of_messages() -> None:
    said = f"<think>\nHe waits.\n</think>\n\n<TOOLCALL>[{json.dumps(CALL)}]</TOOLCALL>"
    found = openai.convert({"input": [USER], "output": said, "tools": [OPENAI_TOOL]}, OPTIONS)
    assert found.turns[0].steps[0].calls == (Call("walk", {"dog": "Rex"}),)
    assert found.turns[0].steps[0].thought == "He waits."


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"instruction": "Go.", "input": "", "output": "Done."}, "instruction, input, output"),
        ({"prompt": [USER], "completion": [USER]}, "prompt, completion"),
        ({"chosen": [USER], "rejected": [USER]}, "chosen, rejected"),
        ({"data": [{"messages": [USER]}]}, "data"),
    ],
)
def test_a_row_without_messages_is_rejected_with_its_keys(row: Any, named: str) -> None:
    with pytest.raises(RowError, match=f"no list of messages, but {named}"):
        openai.convert(row, OPTIONS)
