"""System prompts of other formats: the tools are read, the instructions for another form do not stay."""

# ruff: noqa: E501 (each prompt stands on few lines)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen_mt, funreason_mt, openai
from funreason_train.data.read.instructions import own_instructions
from funreason_train.dialogue import prompt_style, system_prompt

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought", "error_tool_response": "keep"}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"The {name}.",
            "parameters": {
                "type": "object",
                "properties": {"where": {"type": "string"}},
                "required": ["where"],
            },
        },
    }
    for name in ("tide", "wind")
]
FORM = "<tool_call>\n{'arguments': <args-dict>, 'name': <function-name>}\n</tool_call>"
ASKED = (
    "You are a model that calls functions. The signatures are within <tools></tools> tags: <tools> {tools}"
    " </tools> Use this schema: {{'title': 'Call', 'type': 'object'}}. For each function call give back a"
    " JSON object within <tool_call></tool_call> tags, like this:\n"
    + FORM.replace("{", "{{").replace("}", "}}")
)


def _hermes(tools: str, calls: list[str], results: list[str]) -> dict[str, Any]:
    said = [
        ("system", "Speak like a sailor.\n\n" + ASKED.format(tools=tools)),
        ("human", "How is the sea at Hull?"),
        ("gpt", "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls)),
        ("tool", "\n".join(f"<tool_response>\n{one}\n</tool_response>" for one in results)),
        ("gpt", "Calm."),
    ]
    return {"conversations": [{"from": who, "value": value} for who, value in said]}


@pytest.mark.parametrize("module", [apigen_mt, funreason_mt, openai])
@pytest.mark.parametrize("write", [json.dumps, str])
def test_hermes_rows_as_their_card_shows_them(module: Any, write: Callable[[Any], str]) -> None:
    calls = [{"arguments": {"where": "Hull"}, "name": name} for name in ("tide", "wind")]
    results = [json.dumps({"name": name, "content": {"is": name}}) for name in ("wind", "tide")]
    found = module.convert(_hermes(write(TOOLS), [write(one) for one in calls], results), OPTIONS)
    assert [tool["name"] for tool in found.tools] == ["tide", "wind"]
    step = found.turns[0].steps[0]
    assert step.calls == (Call("tide", {"where": "Hull"}), Call("wind", {"where": "Hull"}))
    assert step.results == (results[1], results[0])  # each result names its call
    assert found.system.startswith("Speak like a sailor.")
    assert not any(mark in found.system for mark in ("tool_call", "<tools>", "JSON", "schema"))
    assert set(found.meta["flags"]) == {"format_instructions_dropped", "json_calls"}


def test_results_that_qwens_template_puts_into_a_user_message() -> None:
    row = _hermes(json.dumps(TOOLS), ['{"name": "tide", "arguments": {"where": "Hull"}}'], ["high"])
    row["conversations"][3]["from"] = "human"
    assert apigen_mt.convert(row, OPTIONS).turns[0].steps[0].results == ("high",)


def test_tools_in_a_prompt_are_never_evaluated(tmp_path: Path) -> None:
    made = tmp_path / "made"
    evil = f"[{{'name': 'tide', 'description': __import__('pathlib').Path({str(made)!r}).touch()}}]"
    row = _hermes(evil, ['{"name": "tide", "arguments": {}}'], ["high"])
    assert "tools_inferred" in apigen_mt.convert(row, OPTIONS).meta["flags"]
    assert not made.exists()


@pytest.mark.parametrize(
    ("system", "left", "flagged"),
    [
        (None, None, False),
        ("Be brief.", "Be brief.", False),
        ("You may use tools only after the customer has logged in.", ..., False),
        ("# Policy\nNever refund.\n\nWrite calls as\n" + FORM, "# Policy\nNever refund.", True),
        (FORM + "\n\n# Policy\nNever refund.", "# Policy\nNever refund.", True),
        ("You are an expert in composing functions.", None, False),
        ("You are an expert in composing functions. Be kind to Ann.", "Be kind to Ann.", False),
    ],
)
def test_what_a_data_set_says_itself_stays(system: str | None, left: Any, flagged: bool) -> None:
    found, flags = own_instructions(system)
    if left == "# Policy\nNever refund.":
        assert found is not None and left in found and "tool_call" not in found
    else:
        assert found == (system if left is ... else left)
    assert bool(flags) == flagged


def test_bfcls_own_prompt_leaves_nothing_but_what_follows_it() -> None:
    tools = [tool["function"] for tool in TOOLS]
    row = [
        {"role": "system", "content": system_prompt(tools, "bfcl", "Answer in Welsh.")},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": '[tide(where="Hull")]'},
    ]
    found = funreason_mt.convert(row, OPTIONS)
    assert (found.system, [tool["name"] for tool in found.tools]) == ("Answer in Welsh.", ["tide", "wind"])
    assert not found.meta


@pytest.mark.parametrize("escape", [True, False])
def test_a_tool_list_in_another_script(prepare: Prepare, tmp_path: Path, escape: bool) -> None:
    tool = json.loads(json.dumps(TOOLS[0]).replace("tide", "潮汐"))
    call = {"type": "function", "function": {"name": "潮汐", "arguments": '{"where": "赫尔"}'}}
    said = [
        {"role": "user", "content": "赫尔?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    (tmp_path / "own.jsonl").write_text(json.dumps({"messages": said, "tools": [tool]}) + "\n")
    out, result = prepare(
        "data.datasets=[openai]",
        f"data.openai.path={tmp_path}/own.jsonl",
        *("data.val_share=0", "data.decontaminate=off", f"protocol.escape={str(escape).lower()}"),
    )
    (row,) = json.loads((out / "sft/train.json").read_text())
    assert ("潮汐" in row["system"], "\\u6f6e" in row["system"]) == (not escape, escape)
    assert row["conversations"][-1]["value"].endswith('[潮汐(where="赫尔")]')
    assert result["sources"]["openai"]["flags"] == ({"escaped_tools": 1} if escape else {})


def test_the_style_that_a_configuration_asks_for() -> None:
    nodes = [
        {"system": system, "escape": escape} for system in ("bfcl", "compact") for escape in (True, False)
    ]
    assert [prompt_style(node) for node in nodes] == ["bfcl", "bfcl_readable", "compact", "compact"]
    tools = [tool["function"] for tool in TOOLS]
    assert system_prompt(tools, "bfcl") == system_prompt(tools, "bfcl_readable")


TIDE = {"name": "tide", "description": "Tells the tide.", "parameters": {"type": "object", "properties": {}}}
CARD_SCHEMA = (
    "{'title': 'FunctionCall', 'type': 'object', 'properties': {'name': {'title': 'Name', 'type': 'string'}, "
    "'arguments': {'title': 'Arguments', 'type': 'object'}}, 'required': ['arguments', 'name']}"
)


@pytest.mark.parametrize(
    ("system", "left"),
    [
        (f"Be kind.\n<tools>\n[@]\n</tools>\nUse the pydantic model json schema:\n{CARD_SCHEMA}\n", "Be kind."),
        ("@\n\nAnswer with JSON for a function call. Respond in the format "
         '{"name": function name, "parameters": dictionary of argument name and its value}.\n\nBe kind.', "Be kind."),
        ("Be kind.\n[BEGIN OF AVAILABLE TOOLS]\n[@]\n[END OF AVAILABLE TOOLS]\n\n[BEGIN OF FORMAT INSTRUCTION]\n"
         'Write:\n```\n{"tool_calls": []}\n```\nIf none is needed, write [].\n[END OF FORMAT INSTRUCTION]', "Be kind."),
        ("Be kind.\n<|available_tools|>[@]", "Be kind."),
        ("Be kind.\n[@]\nStick to this exact format:\n<｜tool▁calls▁begin｜>name<｜tool▁sep｜>arguments", "Be kind."),
        ("@\nBe kind.\nIf you call a function only reply in the following format:\n<function=a>{\"b\": 1}</function>",
         "Be kind."),
    ],
)  # fmt: skip
def test_instructions_of_other_families_go(system: str, left: str) -> None:
    said = {"role": "assistant", "content": "[tide()]"}
    row = {
        "messages": [
            {"role": "system", "content": system.replace("@", json.dumps(TIDE))},
            {"role": "user", "content": "When?"},
            said,
        ]
    }
    found = openai.convert(row, OPTIONS)
    assert [tool["name"] for tool in found.tools] == ["tide"]
    assert found.system == left and "format_instructions_dropped" in found.meta["flags"]


@pytest.mark.parametrize(
    ("system", "left"),
    [
        ('Your customer: {"name": "Ada", "age": 31}.\nTOOLS', 'Your customer: {"name": "Ada", "age": 31}.'),
        ("```json\nTOOLS\n```\nBe kind.", "Be kind."),
        ('{"tools": TOOLS}', None),
    ],
)
def test_marks_around_a_list_of_tools_go_with_it(system: str, left: str | None) -> None:
    said = {"role": "assistant", "content": "[tide()]"}
    shown = system.replace("TOOLS", json.dumps([TIDE]))
    found = openai.convert(
        {"messages": [{"role": "system", "content": shown}, {"role": "user", "content": "When?"}, said]},
        OPTIONS,
    )
    assert found.system == left


TOOLACE = (
    "You are an expert in composing functions. You are given a question and a set of possible functions. \n"
    "Based on the question, you will need to make one or more function/tool calls to achieve the purpose. \n"
    "If none of the function can be used, point it out. If the given question lacks the parameters required by the function,\n"
    "also point it out. You should only return the function call in tools call sections.\n"
    "Here is a list of functions in JSON format that you can invoke:\n@. \n"
    "Should you decide to return the function call(s). \nPut it in the format of [func1(params_name=params_value, "
    "params_name2=params_value2...), func2(params)]\n\nNO other text MUST be included. \n"
)


@pytest.mark.parametrize(
    ("system", "left", "flagged"),
    [
        (TOOLACE, None, False),
        (TOOLACE.replace("an expert in composing functions", "the clerk of a bank"), "You are the clerk of a bank.", False),
        (TOOLACE + "Use the refund tool only after login.", "Use the refund tool only after login.", False),
        ("You are the clerk.\n@\nUse the following format:\n\nQuestion: the input\nThought: what to do\nAction: a tool\n"
         "Action Input: its input\nObservation: the result\n... (repeated)\nFinal Answer: the answer\n\nBegin!",
         "You are the clerk.", True),
        ("You are the clerk.\n@\nYour output format should be:\n<thought>\nyour thought\n</thought>\n<call>\n"
         '[{"name": ..., "arguments": {...}}]\n</call>\nor\n<final>\nanswer\n</final>', "You are the clerk.", True),
        ("You are the clerk.<|tool|>@<|/tool|>", "You are the clerk.", True),
    ],
)  # fmt: skip
def test_nothing_mangled_stays_of_a_prompt(system: str, left: str | None, flagged: bool) -> None:
    row = {
        "messages": [
            {"role": "system", "content": system.replace("@", json.dumps([TIDE]))},
            {"role": "user", "content": "When?"},
            {"role": "assistant", "content": "[tide()]"},
        ]
    }
    found = openai.convert(row, OPTIONS)
    assert (found.system, bool(found.meta.get("flags"))) == (left, flagged)
    assert [tool["name"] for tool in found.tools] == ["tide"]


def test_a_prompt_that_a_row_states_twice_stands_there_once() -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Yes?"},
    ]
    row = {"messages": said, "tools": TOOLS}
    assert openai.convert({**row, "system": "Be brief.\n"}, OPTIONS).system == "Be brief.\n"
    assert openai.convert({**row, "system": "Be kind."}, OPTIONS).system == "Be kind.\n\nBe brief."
