"""Tool lists in any dialect, in a system prompt, or inferred."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funreason_train.calls import Call, check_call
from funreason_train.data.read.rows import RowError
from funreason_train.data.read.system import find_tools
from funreason_train.data.read.toolsets import infer_tools, read_tool, read_tools
from funreason_train.dialogue import system_prompt

TOOL = {
    "name": "f",
    "description": "d",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


def test_apigen_parameters_are_optional_with_a_default_or_by_their_word() -> None:
    tool, flags = read_tool(
        {
            "name": "f",
            "description": "d",
            "parameters": {
                "a": {"type": "int", "description": "x"},
                "b": {"type": "str, optional", "description": "x"},
                "c": {"type": "int", "description": "x", "default": "40"},
            },
        }
    )
    assert tool["parameters"]["required"] == ["a"]
    assert tool["parameters"]["properties"]["c"] == {"description": "x", "default": "40", "type": "integer"}
    assert flags == ["default_contradicts_type"]


@pytest.mark.parametrize(
    "declared",
    [
        TOOL,
        {"type": "function", "function": TOOL},
        {**TOOL, "parameters": {**TOOL["parameters"], "type": "dict"}},  # type: ignore[dict-item]
        {"name": "f", "description": "d", "parameters": {"a": {"type": "int"}}},
        {"name": "f", "description": "d", "parameters": {"a": "int"}},
    ],
)
def test_every_dialect_is_the_same_tool(declared: Any) -> None:
    assert read_tool(declared) == (TOOL, [])


def test_parameter_named_type_or_properties_is_a_parameter() -> None:
    for name in ("type", "properties", "required"):
        tool, _ = read_tool({"name": "f", "parameters": {name: {"type": "str"}, "sort": {"type": "str"}}})
        assert set(tool["parameters"]["properties"]) == {"sort", name}


def test_tools_as_json_text_and_text_in_text() -> None:
    for text in (json.dumps([TOOL]), json.dumps(json.dumps([TOOL]))):
        assert read_tools(text) == ((TOOL,), [])


def test_a_default_in_the_words_of_a_type_makes_optional_and_yields_to_the_stated_one() -> None:
    tool, flags = read_tool(
        {
            "name": "f",
            "parameters": {
                "a": {"type": "int, default 5"},
                "b": {"type": "int, default 5", "default": 7},
                "c": {"type": "int, default many"},
                "d": {"type": "int"},
            },
        }
    )
    properties = tool["parameters"]["properties"]
    assert [properties[name].get("default") for name in "abcd"] == [5, 7, None, None]
    assert (tool["parameters"]["required"], flags) == (["d"], [])


def test_tools_as_an_object_by_name() -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}}}
    listed = [{"name": name, "description": name, "parameters": parameters} for name in ("f", "name")]
    by_name = {tool["name"]: {"description": tool["name"], "parameters": parameters} for tool in listed}
    assert read_tools(by_name) == read_tools(json.dumps(by_name)) == read_tools(listed)
    assert read_tools(listed[0]) == read_tools(listed[:1])
    assert read_tools({}) == ((), [])


def test_same_name_twice() -> None:
    assert read_tools([TOOL, TOOL]) == ((TOOL,), ["repeated_tool"])
    with pytest.raises(RowError, match="duplicate_tool"):
        read_tools([TOOL, {**TOOL, "description": "other"}])


def test_ten_thousand_tools() -> None:
    tools, _ = read_tools([{**TOOL, "name": f"f{n}"} for n in range(10_000)])
    assert len(tools) == 10_000


@pytest.mark.parametrize(
    ("declared", "flagged"),
    [
        ({"type": "int", "default": "40"}, 1),
        ({"type": "int", "default": 40}, 0),
        ({"type": "float", "default": 40}, 0),
        ({"type": "bool", "default": "True"}, 1),
        ({"type": "List[int]", "default": ["1"]}, 1),
        ({"type": "List[int]", "default": "[1]"}, 1),
        ({"type": "List[int]", "default": [1]}, 0),
        ({"type": "Union[int, str]", "default": 1.5}, 1),
        ({"type": "Union[int, str]", "default": "x"}, 0),
        ({"type": "string", "enum": ["a", "b"], "default": "c"}, 1),
        ({"type": "string", "default": None}, 1),
        ({"type": "string", "nullable": True, "default": None}, 0),
        ({"type": "object", "properties": {"x": {"type": "integer", "default": "1"}}}, 1),
        ({"type": "any", "default": "x"}, 0),
    ],
)
def test_defaults_that_contradict_their_type_are_kept_and_flagged(declared: Any, flagged: int) -> None:
    tool, flags = read_tool({"name": "f", "parameters": {"a": declared}})
    assert flags == ["default_contradicts_type"] * flagged
    if "default" in declared:
        assert tool["parameters"]["properties"]["a"]["default"] == declared["default"]
        assert tool["parameters"]["required"] == []


def test_ten_thousand_tools_of_one_name() -> None:
    many = [{**TOOL, "name": f"f{n}"} for n in range(5_000)]
    tools, flags = read_tools(many + many)
    assert (len(tools), flags) == (5_000, ["repeated_tool"] * 5_000)


def test_parameters_as_json_text() -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tool = {"name": "f", "description": "", "parameters": parameters}
    assert read_tool({**tool, "parameters": json.dumps(parameters)}) == read_tool(tool)
    with pytest.raises(RowError, match="properties are a list"):
        read_tool({**tool, "parameters": {"type": "object", "properties": [{"name": "a"}]}})


@pytest.mark.parametrize("declared", ["{", 5, [5], [{"name": ""}], [{"name": "f", "parameters": []}], None])
def test_what_is_no_tool_list(declared: Any) -> None:
    with pytest.raises(RowError):
        read_tools(declared)


@pytest.mark.parametrize("style", ["bfcl", "compact"])
def test_tools_are_found_in_our_own_system_prompts(style: Any) -> None:
    found = find_tools(system_prompt([TOOL, {**TOOL, "name": "g"}], style))
    assert found is not None
    assert [tool["name"] for tool in found[0]] == ["f", "g"]


def test_tools_one_a_line() -> None:
    text = (
        "Rules: [be brief].\n<tools>\n"
        + json.dumps(TOOL)
        + "\n"
        + json.dumps({**TOOL, "name": "g"})
        + "\n</tools>"
    )
    found = find_tools(text)
    assert found is not None
    assert [tool["name"] for tool in found[0]] == ["f", "g"]
    assert "Rules: [be brief]." in found[1] and "parameters" not in found[1]


@pytest.mark.parametrize(
    "text", ["", "You help with files.", "[NOT A LIST {", '[{"name": "f", "arguments": {}}]']
)
def test_no_tools_in_a_prompt(text: str) -> None:
    assert find_tools(text) is None


def test_inferred_tools_admit_what_was_seen_and_require_nothing() -> None:
    calls = [Call("f", {"a": 1}), Call("f", {"a": "x", "b": [1]}), Call("g", {"c": None})]
    tools = infer_tools(calls)
    assert all(not check_call(call, tools) for call in [*calls, Call("f", {}), Call("g", {"c": 5})])
    assert check_call(Call("f", {"z": 1}), tools)
    assert check_call(Call("f", {"b": "text"}), tools)
