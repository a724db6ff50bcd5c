"""What a row holds is used, or named in a flag, or the row is rejected: at every level of every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call, check_call
from funreason_train.data.read.formats import apigen, apigen_mt, funreason_mt, openai
from funreason_train.data.read.rows import FLAGS, RowError, flag_meaning
from funreason_train.data.read.toolsets import read_tool
from funreason_train.dialogue import Trajectory, system_prompt

OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought", "error_tool_response": "keep"}
PARAMETERS = {
    "type": "object",
    "properties": {"dish": {"type": "string"}, "plates": {"type": "integer"}},
    "required": ["dish"],
}
TOOL = {"name": "order", "description": "Orders a dish.", "parameters": PARAMETERS}
ARGUMENTS = {"dish": "soup", "plates": 2}
CALL = Call("order", ARGUMENTS)


def _chat(call: Any, **rest: Any) -> dict[str, Any]:
    assistant = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"messages": [{"role": "user", "content": "Soup for two."}, assistant], "tools": [TOOL], **rest}


def _share(call: Any, **rest: Any) -> dict[str, Any]:
    said = [("human", "Soup for two."), ("function_call", json.dumps(call))]
    messages = [{"from": who, "value": value} for who, value in said]
    return {"conversations": messages, "tools": json.dumps([TOOL]), **rest}


def _query(call: Any, **rest: Any) -> dict[str, Any]:
    row = {"id": 1, "query": "Soup for two.", "answers": json.dumps([call]), "tools": json.dumps([TOOL])}
    return {**row, **rest}


def _funreason(call: Any, **rest: Any) -> dict[str, Any]:
    tagged = f"<think>Soup.</think><tool_call>{json.dumps(call)}</tool_call>"
    messages = [{"role": "user", "content": "Soup for two."}, {"role": "assistant", "content": tagged}]
    return {"conversations": messages, "tools": [TOOL], **rest}


FORMATS: list[tuple[Any, Callable[..., dict[str, Any]]]] = [
    (openai, _chat),
    (apigen_mt, _share),
    (apigen, _query),
    (funreason_mt, _funreason),
]


def _made(module: Any, row: Any) -> tuple[Call, ...]:
    calls: tuple[Call, ...] = module.convert(row, OPTIONS).turns[0].steps[0].calls
    return calls


@pytest.mark.parametrize(("module", "write"), FORMATS)
@pytest.mark.parametrize(
    "call",
    [
        *({"name": "order", key: ARGUMENTS} for key in ("args", "input", "params", "kwargs", "argument")),
        *({"name": "order", key: ARGUMENTS} for key in ("arguments", "parameters", "tool_input")),
        {"name": "order", "arguments": None, "args": ARGUMENTS},
        {"name": "order", "arguments": {}, "parameters": ARGUMENTS},
        {"arguments": ARGUMENTS, "name": "order"},  # Hermes' documented order
        {"name": "order", "arguments": json.dumps(ARGUMENTS)},
        {"id": "c1", "type": "function", "function": {"name": "order", "arguments": json.dumps(ARGUMENTS)}},
    ],
)
def test_arguments_are_read_under_every_key_that_converters_use(module: Any, write: Any, call: Any) -> None:
    assert _made(module, write(call)) == (CALL,)


@pytest.mark.parametrize(("module", "write"), FORMATS)
@pytest.mark.parametrize(
    ("call", "key"),
    [
        ({"name": "order", "slots": ARGUMENTS}, "slots"),
        ({"name": "order", "arguments": {}, "payload": ARGUMENTS}, "payload"),
        ({"name": "order", "arguments": ARGUMENTS, "dish": "soup"}, "dish"),
        ({"function": {"name": "order", "arguments": {}, "data": ARGUMENTS}}, "data"),
        ({"name": "order", "arguments": {"dish": "soup"}, "args": {"dish": "stew"}}, "args"),
    ],
)
def test_content_of_a_call_that_is_not_read_is_a_rejection_with_its_key(
    module: Any, write: Any, call: Any, key: str
) -> None:
    with pytest.raises(RowError, match=rf"call_syntax.*{key}"):
        module.convert(write(call), OPTIONS)


@pytest.mark.parametrize(("module", "write"), [pair for pair in FORMATS if pair[0] is not funreason_mt])
def test_inline_arguments_are_read_where_the_tool_declares_them_all(module: Any, write: Any) -> None:
    found = module.convert(write({"name": "order", **ARGUMENTS}), OPTIONS)
    assert found.turns[0].steps[0].calls == (CALL,)
    assert found.meta["flags"] == ["inline_arguments"]
    with pytest.raises(RowError, match=r"call_syntax.*salt"):
        module.convert(write({"name": "order", **ARGUMENTS, "salt": True}), OPTIONS)


def test_a_call_with_an_argument_twice_is_refused() -> None:
    text = '{"dish": "soup", "dish": "stew"}'
    for row in (_chat({"name": "order", "arguments": text}), _query({"name": "order", "arguments": text})):
        with pytest.raises(RowError, match="'dish' stands twice"):
            (openai if "messages" in row else apigen).convert(row, OPTIONS)


@pytest.mark.parametrize("key", ["thinking", "reasoning", "reasoning_content", "thought"])
def test_every_field_of_a_thought(key: str) -> None:
    row = _chat({"name": "order", "arguments": ARGUMENTS})
    row["messages"][1][key] = "Two plates, then."
    assert openai.convert(row, OPTIONS).turns[0].steps[0].thought == "Two plates, then."


@pytest.mark.parametrize("key", ["weight", "loss_weight", "train", "loss"])
@pytest.mark.parametrize("value", [0, 0.0, False, "false", "0", "0.0"])
def test_every_field_of_a_weight(key: str, value: Any) -> None:
    wrong = {"role": "assistant", "content": None, "tool_calls": [{"name": "order", "arguments": {"x": 1}}]}
    rest = [{"role": "tool", "content": "no x"}, {"role": "assistant", "content": "Which dish?", key: True}]
    row: dict[str, Any] = {
        "messages": [{"role": "user", "content": "q", key: 0}, {**wrong, key: value}, *rest]
    }
    found = openai.convert({**row, "tools": [TOOL]}, OPTIONS)
    assert dict(found.meta) == {"untrained": ["0.0"]}
    share = [
        {"from": one["role"], "value": one["content"], key: one.get(key)}
        for one in row["messages"]
        if one["role"] != "assistant"
    ]
    called = {"from": "function_call", "value": '{"name": "order", "arguments": {"x": 1}}', key: value}
    messages = [share[0], called, share[1], {"from": "gpt", "value": "Which dish?"}]
    found = apigen_mt.convert({"conversations": messages, "tools": [TOOL]}, OPTIONS)
    assert found.meta["untrained"] == ["0.0"]


@pytest.mark.parametrize("empty", ["", "None", "null", " ", "nan", '""', None])
def test_a_tool_list_that_says_there_is_none(empty: Any) -> None:
    messages = [{"from": "human", "value": "Hello."}, {"from": "gpt", "value": "Hello, what can I do?"}]
    for module in (apigen_mt, funreason_mt):
        found = module.convert({"conversations": messages, "tools": empty}, OPTIONS)
        assert found.tools == ()
        strict = {**OPTIONS, "tools_missing": "reject"}
        if empty is not None:
            assert module.convert({"conversations": messages, "tools": empty}, strict).tools == ()


def test_anthropics_and_llamafactorys_parts() -> None:
    used = {"type": "tool_use", "id": "t1", "name": "order", "input": ARGUMENTS}
    row = {
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Soup for two."}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Order."}, used]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "served"}],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "Here it is."}]},
        ],
        "tools": [{"name": "order", "description": "Orders a dish.", "input_schema": PARAMETERS}],
    }
    first = openai.convert(row, OPTIONS)
    assert first.system == "Be kind."
    assert [(one.thought, one.calls, one.text, one.results) for one in first.turns[0].steps] == [
        ("Order.", (CALL,), "", ("served",)),
        ("", (), "Here it is.", ()),
    ]
    call = {"name": "order", "arguments": ARGUMENTS}
    parts = [{"type": "reasoning", "value": "Order."}, {"type": "tool_call", "value": json.dumps(call)}]
    second = openai.convert(
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "value": "Soup for two."}]},
                {"role": "assistant", "content": parts},
            ],
            "tools": [TOOL],
        },
        OPTIONS,
    )
    assert second.turns[0].steps[0].calls == (CALL,)
    assert second.turns[0].steps[0].thought == "Order."


# --- property: an unknown key anywhere ---

_LEVELS = ("row", "message", "call", "part", "tool", "schema")
_KEYS = st.text("abcdefgh_", min_size=3, max_size=9)


def _texts(found: Trajectory) -> str:
    said = [found.system or "", json.dumps([dict(tool) for tool in found.tools])]
    for turn in found.turns:
        said.append(turn.user)
        for step in turn.steps:
            calls = json.dumps([call.to_json() for call in step.calls])
            said += [step.thought, step.text, calls, *step.results]
    return "\n".join(said)


@given(
    st.sampled_from(FORMATS),
    st.sampled_from(_LEVELS),
    _KEYS,
    st.sampled_from(["TOKEN", ["TOKEN"], {"TOKEN": 1}, {"a": "TOKEN"}, {"a": {"type": "TOKEN"}}]),
)
def test_an_unknown_key_at_any_level_is_used_or_named_or_the_row_is_rejected(
    format: Any, level: str, key: str, value: Any
) -> None:
    module, write = format
    call: dict[str, Any] = {"name": "order", "arguments": dict(ARGUMENTS)}
    if level == "call":
        call = {key: value, **call}
    row = json.loads(json.dumps(write(call)))
    tools = [json.loads(json.dumps(TOOL))]
    if level == "row":
        row.setdefault(key, value)
    elif level == "message":
        messages = row.get("messages") or row.get("conversations")
        if messages is None:
            return
        for message in messages:
            message.setdefault(key, value)
    elif level == "part":
        messages = row.get("messages")
        if messages is None:
            return
        messages[0]["content"] = [{key: value, "type": "text", "text": "Soup for two."}]
    elif level == "tool":
        tools[0].setdefault(key, value)
    elif level == "schema":
        tools[0]["parameters"]["properties"]["dish"].setdefault(key, value)
    row["tools"] = json.dumps(tools) if isinstance(row["tools"], str) else tools
    try:
        found = module.convert(row, OPTIONS)
    except RowError as error:
        assert error.detail
        return
    flags = found.meta.get("flags", [])
    assert all(flag_meaning(flag) for flag in flags)
    assert any(key in flag for flag in flags) or "TOKEN" in _texts(found)


# --- tools ---

_DECLARED: list[Any] = [
    {"name": "order", "inputSchema": PARAMETERS},
    {"name": "order", "input_schema": PARAMETERS},
    {"name": "order", "parameters": None, "input_schema": PARAMETERS},
    {"type": "function", "function": {"name": "order", "parameters": PARAMETERS}},
    {"type": "function", "name": "order", "parameters": PARAMETERS},
    {"type": "function", "function": {"name": "order"}, "parameters": PARAMETERS},
    {"name": "order", "parameters": {**PARAMETERS, "required": []}, "required": ["dish"]},
    {"name": "order", "parameters": {**PARAMETERS, "additionalProperties": True}},
    {"name": "order", "parameters": {"type": "object", "patternProperties": {"^": {"type": "string"}}}},
    {
        "name": "order",
        "parameters": {"$ref": "#/$defs/Order", "$defs": {"Order": PARAMETERS}},
    },
    {"name": "order", "parameters": {"allOf": [PARAMETERS, {"required": ["dish"]}]}},
    {"name": "order", "parameters": {"type": "object", "oneOf": [PARAMETERS, {"properties": {"id": {}}}]}},
    {"name": "order", "parameters": {"anyOf": [PARAMETERS, {"properties": {"id": {"type": "integer"}}}]}},
    {
        "name": "order",
        "required_parameters": [{"name": "dish", "type": "STRING", "default": ""}],
        "optional_parameters": [{"name": "plates", "type": "NUMBER", "default": ""}],
    },
    {
        "name": "order",
        "parameters": [{"name": "dish", "type": "str", "required": True}, {"name": "plates", "type": "int"}],
    },
    {"name": "order", "args": {"dish": {"type": "str"}, "plates": {"type": "int"}}},
]


@pytest.mark.parametrize("declared", _DECLARED)
def test_parameters_are_read_wherever_a_tool_states_them(declared: Any) -> None:
    tool, _ = read_tool(declared)
    if "patternProperties" not in tool["parameters"]:
        assert check_call(CALL, [tool]) == []
        assert '"dish"' in system_prompt([tool], "compact")
        assert check_call(Call("order", {"dish": 5}), [tool]) != []
    else:
        assert check_call(Call("order", {"dish": "soup"}), [tool]) == []
        assert check_call(Call("order", {"dish": 5}), [tool]) != []
    shown = tool["parameters"]
    assert shown["properties"] or shown.keys() & {"anyOf", "patternProperties", "additionalProperties"}


@pytest.mark.parametrize("declared", _DECLARED[:4])
def test_required_arguments_stay_required(declared: Any) -> None:
    tool, _ = read_tool(declared)
    assert check_call(Call("order", {"plates": 1}), [tool]) == ["missing_argument: order.dish"]


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "order", "slots": PARAMETERS},
        {"name": "order", "signature": {"dish": {"type": "string"}}},
        {"name": "order", "fields": [{"name": "dish", "type": "string"}]},
        {"name": "order", "parameters": PARAMETERS, "inputSchema": {"type": "object", "properties": {}}},
    ],
)
def test_a_tool_is_never_shown_as_one_that_takes_nothing(declared: Any) -> None:
    with pytest.raises(RowError, match="tool_shape: order"):
        read_tool(declared)


def test_alternatives_at_the_root_are_shown_and_one_must_hold() -> None:
    alternatives = [
        {"properties": {"q": {"type": "string"}}, "required": ["q"]},
        {"properties": {"id": {"type": "integer"}}, "required": ["id"]},
    ]
    tool, flags = read_tool({"name": "find", "parameters": {"type": "object", "oneOf": alternatives}})
    assert flags == []
    assert '"q"' in system_prompt([tool]) and '"id"' in system_prompt([tool])
    assert check_call(Call("find", {"q": "x"}), [tool]) == check_call(Call("find", {"id": 1}), [tool]) == []
    assert check_call(Call("find", {}), [tool])
    assert check_call(Call("find", {"id": "x"}), [tool]) == ["wrong_type: find.id is string, not integer"]
    assert check_call(Call("find", {"id": 1, "z": 1}), [tool]) == ["unknown_argument: find.z"]


def test_every_flag_has_a_meaning() -> None:
    assert all(FLAGS.values())
    assert flag_meaning("unread_row_field:difficulty") == FLAGS["unread_row_field"]
