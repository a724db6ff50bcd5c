"""What other families' models and data sets write around a response, and where they put a row's tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.read.formats import openai
from funreason_train.data.read.rows import RowError
from funreason_train.data.read.toolsets import read_tool
from funreason_train.dialogue.messages import Trajectory

OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought"}
SCHEMA = {"type": "object", "properties": {"plant": {"type": "string"}}, "required": ["plant"]}
TOOLS = [
    {
        "type": "function",
        "function": {"name": "water", "description": "Waters a plant.", "parameters": SCHEMA},
    },
    {"type": "function", "function": {"name": "rest", "description": "Does nothing.", "parameters": {}}},
]
USER = {"role": "user", "content": "The fern is dry."}
CALL = '[water(plant="fern")]'
OBJECT = '{"name": "water", "arguments": {"plant": "fern"}}'


def _read(*messages: Any, **rest: Any) -> Trajectory:
    row = {"messages": [USER, *messages], "tools": TOOLS, **rest}
    return openai.convert(json.loads(json.dumps(row)), OPTIONS)


def _said(text: str) -> tuple[str, tuple[Call, ...], str, list[str]]:
    found = _read({"role": "assistant", "content": text})
    (step,) = found.turns[0].steps
    return step.thought, step.calls, step.text, found.meta.get("flags", [])


@pytest.mark.parametrize(
    "marked",
    [
        "[THINK]Dry.[/THINK]{}",
        "<thinking>Dry.</thinking>\n{}",
        "<THINK>Dry.</THINK>\n{}",
        "<thought>\nDry.\n</thought>\n{}",
        "<reasoning>Dry.</reasoning> {}",
        "<scratch_pad>\nDry.\n</scratch_pad>\n{}",
        "<seed:think>Dry.</seed:think>{}",
        "◁think▷Dry.◁/think▷{}",
        "<|begin_of_thought|>Dry.<|end_of_thought|>\n{}",
        "<|START_THINKING|>Dry.<|END_THINKING|>{}",
        "<think>Dry.</think>\n<response>\n{}\n</response>",
        "<Thought>Dry.</Thought>\n<Output>{}</Output>",
        "<|begin_of_thought|>Dry.<|end_of_thought|><|begin_of_solution|>{}<|end_of_solution|>",
        "<|channel|>analysis<|message|>Dry.<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
    ],
)
def test_a_thought_in_other_marks(marked: str) -> None:
    thought, calls, text, flags = _said(marked.format("I see to it."))
    assert (thought, calls, text) == ("Dry.", (), "I see to it.")
    assert "other_thought_marks" in flags
    if "final" not in marked:
        thought, calls, text, flags = _said(marked.format(CALL))
        assert (thought, calls, text) == ("Dry.", (Call("water", {"plant": "fern"}),), "")


@pytest.mark.parametrize("tag", ["think", 'think signature="x1"', "think time=3"])
def test_a_think_block_with_attributes(tag: str) -> None:
    assert _said(f"<{tag}>Dry.</think>I see to it.")[:3] == ("Dry.", (), "I see to it.")


def test_the_last_answer_of_react() -> None:
    assert _said("Thought: It is dry.\nFinal Answer: I see to it.")[:3] == ("It is dry.", (), "I see to it.")
    assert _said("Thought: nobody waters it.")[2] == "Thought: nobody waters it."


def test_a_reply_beside_calls_in_gpt_oss_and_toolrl() -> None:
    spoken = "<|channel|>commentary<|message|>I see to it.<|end|><|start|>assistant<|channel|>commentary"
    found = _said(spoken + ' to=functions.water <|constrain|>json<|message|>{"plant": "fern"}<|call|>')
    assert found[:3] == ("I see to it.", (Call("water", {"plant": "fern"}),), "")
    found = _said(
        f"<think>Dry.</think><tool_call>\n{OBJECT}\n</tool_call>\n<response>I see to it.</response>"
    )
    assert found[:3] == ("Dry.\n\nI see to it.", (Call("water", {"plant": "fern"}),), "")


@pytest.mark.parametrize(
    "text",
    [
        "[THINK]Dry.",
        "<|START_THINKING|>Dry.",
        "<think>Dry.<think>Very.</think>I see to it.",
    ],
)
def test_half_a_thought_is_no_reply(text: str) -> None:
    with pytest.raises(RowError, match="unclosed_think"):
        _said(text)


@pytest.mark.parametrize(
    "text", ["<reflection>a</reflection>Good.", "Use <thinking> tags.", "<output>3</output>"]
)
def test_what_is_not_a_thought_stays(text: str) -> None:
    assert _said(text) == ("", (), text, [])


@pytest.mark.parametrize(
    "text",
    ["<|assistant|>I see to it.", ">>>all\nI see to it.", "I see to it.<|tool_outputs_begin|>", "<|x|>"],
)
def test_special_tokens_of_another_template_are_not_taught(text: str) -> None:
    with pytest.raises(RowError, match=r"other_template.*(<\||>>>)"):
        _said(text)
    assert _said(f"The token {text} ends it.")[2] == f"The token {text} ends it."


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>rest</tool_call>",
        f"<tool_call>{OBJECT}</tool_call>\n<tool_call>rest\n</tool_call>",
        f"<tool_call>{OBJECT}</tool_call>\n<tool_call>Then I see to it.</tool_call>",
    ],
)
def test_inside_the_tags_of_calls_a_word_is_no_reply(text: str) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": text}]}
    with pytest.raises(RowError, match="call_syntax"):
        openai.convert(row, OPTIONS)


@pytest.mark.parametrize(
    "key", ["thoughts", "think", "cot", "chain_of_thought", "thinking_content", "reasoning_text"]
)
def test_more_fields_of_a_thought(key: str) -> None:
    found = _read({"role": "assistant", "content": "I see to it.", key: "Dry."})
    assert found.turns[0].steps[0].thought == "Dry." and "flags" not in found.meta


@pytest.mark.parametrize(
    "field",
    [
        {"reasoning": {"content": "Dry."}},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Dry.", "signature": "c2ln"}]},
        {"reasoning": "Dry.", "reasoning_details": [{"type": "reasoning.text", "text": "Dry.", "index": 0}]},
    ],
)
def test_a_thought_as_providers_hand_it_over(field: dict[str, Any]) -> None:
    found = _read({"role": "assistant", "content": "I see to it.", **field})
    assert found.turns[0].steps[0].thought == "Dry." and "flags" not in found.meta


def _call(plant: str, id: str | None) -> dict[str, Any]:
    made = {"type": "function", "function": {"name": "water", "arguments": json.dumps({"plant": plant})}}
    return made if id is None else {"id": id, **made}


@pytest.mark.parametrize("first", [0, 1])
def test_results_where_only_one_of_two_calls_has_an_id(first: int) -> None:
    results = [{"role": "tool", "tool_call_id": "w1", "content": "fern"}, {"role": "tool", "content": "moss"}]
    calls = {"role": "assistant", "tool_calls": [_call("fern", "w1"), _call("moss", None)]}
    found = _read(calls, results[first], results[1 - first], {"role": "assistant", "content": "Done."})
    assert found.turns[0].steps[0].results == ("fern", "moss")


@pytest.mark.parametrize(
    "key", ["available_tools", "api_list", "function_description", "function", "tool_list"]
)
@pytest.mark.parametrize("write", [lambda tools: tools, json.dumps])
def test_tools_under_other_keys_of_a_row(key: str, write: Any) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": "I see to it."}], key: write(TOOLS)}
    found = openai.convert(row, OPTIONS)
    assert [tool["name"] for tool in found.tools] == ["water", "rest"] and "flags" not in found.meta


@pytest.mark.parametrize(
    ("field", "named"),
    [({"metadata": {"tools": TOOLS}}, "metadata.tools"), ({"candidates": TOOLS}, "candidates"),
     ({"extra": json.dumps({"functions": TOOLS})}, "extra.functions")],
)  # fmt: skip
def test_tools_that_are_not_read_are_not_passed_over(field: dict[str, Any], named: str) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": "I see to it."}], **field}
    with pytest.raises(RowError, match=f"tool_shape.*{named}"):
        openai.convert(row, OPTIONS)
    assert [tool["name"] for tool in openai.convert({**row, "tools": TOOLS}, OPTIONS).tools] == [
        "water",
        "rest",
    ]


def test_a_result_or_calls_under_such_a_key_are_no_tools() -> None:
    said = [USER, {"role": "assistant", "content": CALL}]
    row = {"messages": said, "function": [{"name": "water", "arguments": {"plant": "fern"}}]}
    assert openai.convert(row, OPTIONS).meta["flags"] == ["tools_inferred", "unread_row_field:function"]


@pytest.mark.parametrize("key", ["images", "videos", "audios"])
def test_a_row_with_pictures_is_not_read_without_them(key: str) -> None:
    said = {"role": "assistant", "content": "It is a fern."}
    with pytest.raises(RowError, match=f"row_shape: the row has {key}"):
        _read(said, **{key: ["fern.png"]})
    assert _read(said, **{key: []}).turns[0].steps[0].text == "It is a fern."


def test_parts_that_a_converter_wrote_as_json() -> None:
    parts = json.dumps([{"type": "text", "text": "I see "}, {"type": "text", "text": "to it."}])
    assert _said(parts)[2] == "I see to it."
    other = '[{"type": "text", "text": "a", "colour": 3}]'
    assert _said(other)[2] == other


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "water", "signature": "water(plant: str, litres: int = 1)"},
        {"name": "computer", "type": "computer_20250124", "display_width_px": 800},
        {"name": "web_search", "type": "web_search_20250305", "max_uses": 3},
    ],
)
def test_tools_whose_parameters_are_elsewhere(declared: dict[str, Any]) -> None:
    with pytest.raises(RowError, match="tool_shape"):
        read_tool(declared)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("list of strings, optional", {"type": "array"}),
        ("the name of the plant", {"description": "the name of the plant"}),
        ("number of litres", {"description": "number of litres"}),
        ("int, how many litres", {"type": "integer", "description": "int, how many litres"}),
    ],
)
def test_a_parameter_that_is_one_text(text: str, schema: dict[str, Any]) -> None:
    assert read_tool({"name": "water", "parameters": {"what": text}})[0]["parameters"]["properties"] == {
        "what": schema
    }


def test_a_type_that_has_no_counterpart_is_flagged() -> None:
    tool, flags = read_tool({"name": "f", "parameters": {"a": {"type": "np.ndarray"}, "b": {"type": "any"}}})
    assert tool["parameters"]["properties"] == {"a": {}, "b": {}} and flags == ["schema_simplified"]


def test_required_names_as_json_text() -> None:
    schema = {**SCHEMA, "required": '["plant"]'}
    assert read_tool({"name": "water", "parameters": schema})[0]["parameters"]["required"] == ["plant"]


SYSTEM = (
    "SYSTEM: You are a gardener with these functions -\n"
    '{\n  "name": "water",\n  "description": "Waters.",\n  "parameters": ' + json.dumps(SCHEMA) + "\n}\n"
    '\n{\n  "name": "rest",\n  "description": "Rests.",\n  "parameters": {}\n}\n'
)
CHAT = (
    "USER: The fern is dry.\n\n\nASSISTANT: <functioncall> "
    '{"name": "water", "arguments": \'{"plant": "fern"}\'} <|endoftext|>\n\n\n'
    'FUNCTION RESPONSE: {"litres": 1}\n\n\nASSISTANT: Done.\n\nIt had:\n- a litre <|endoftext|>\n\n\n'
)


def test_glaives_text() -> None:
    found = openai.convert({"system": SYSTEM, "chat": CHAT}, OPTIONS)
    assert [tool["name"] for tool in found.tools] == ["water", "rest"]
    assert found.system == "You are a gardener with these functions -"
    called, told = found.turns[0].steps
    assert (called.calls, called.results) == ((Call("water", {"plant": "fern"}),), ('{"litres": 1}',))
    assert told.text == "Done.\n\nIt had:\n- a litre"
    with pytest.raises(RowError, match="row_shape"):
        openai.convert({"system": SYSTEM, "chat": CHAT.replace("fern is", "<|endoftext|> is")}, OPTIONS)


@pytest.mark.parametrize(("given", "told"), [("input", "output"), ("args", "result")])
def test_messages_of_vercels_sdk(given: str, told: str) -> None:
    call = {"type": "tool-call", "toolCallId": "w1", "toolName": "water", given: {"plant": "fern"}}
    other = {"type": "tool-call", "toolCallId": "w2", "toolName": "rest", given: {}}
    answer = {"type": "json", "value": {"litres": 1}} if told == "output" else {"litres": 1}
    results = [
        {"type": "tool-result", "toolCallId": "w2", "toolName": "rest", told: "rested"},
        {"type": "tool-result", "toolCallId": "w1", "toolName": "water", told: answer},
    ]
    found = _read(
        {"role": "assistant", "content": [{"type": "reasoning", "text": "Dry."}, call, other]},
        {"role": "tool", "content": results},
        {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
    )
    called, said = found.turns[0].steps
    assert (called.thought, called.calls) == ("Dry.", (Call("water", {"plant": "fern"}), Call("rest", {})))
    assert called.results == ('{"litres": 1}', "rested") and said.text == "Done."
    assert "flags" not in found.meta
