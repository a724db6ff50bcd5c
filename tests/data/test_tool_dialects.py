"""Tools as more APIs, catalogues and tables write them: with their parameters, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funreason_train.calls import Call, check_call
from funreason_train.data.read.rows import RowError
from funreason_train.data.read.toolsets import read_tool, read_tools

PROPERTIES = {"lake": {"type": "string"}, "boats": {"type": "integer"}}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["lake"]}
BOTH = {"name": "hire", "description": "Hires boats.", "parameters": SCHEMA}


def _parameters(*args: Any, **schema: Any) -> dict[str, Any]:
    return {"name": "hire", "description": "Hires boats.", "parameters": args[0] if args else schema}


@pytest.mark.parametrize(
    "declared",
    [
        {"functionDeclarations": [BOTH]},
        {"function_declarations": [BOTH]},
        [{"functionDeclarations": [BOTH], "googleSearch": None}],
        {"tools": [{"name": "hire", "description": "Hires boats.", "inputSchema": SCHEMA}]},
        [{"toolSpec": {"name": "hire", "description": "Hires boats.", "inputSchema": {"json": SCHEMA}}}],
        [{"type": "function", "function": json.dumps(BOTH)}],
        [{"name": "hire", "description": "Hires boats.", "parametersJsonSchema": SCHEMA}],
        [
            {
                "name": "hire",
                "description": "Hires boats.",
                "parameter_definitions": {
                    "lake": {"type": "str", "required": True},
                    "boats": {"type": "int", "required": False},
                },
            }
        ],
        [
            _parameters(
                [
                    {"name": "lake", "in": "query", "required": True, "schema": {"type": "string"}},
                    {"name": "boats", "in": "query", "schema": {"type": "integer"}},
                ]
            )
        ],
        [_parameters(str(SCHEMA))],
        [_parameters(type="object", properties=PROPERTIES, required="lake")],
        [_parameters(type="object", properties=PROPERTIES, required={"lake": True, "boats": False})],
        {"hire": {"description": "Hires boats.", "parameters": SCHEMA}},
        str([{**BOTH, "parameters": {**SCHEMA, "nullable": None}}]),
        "\n".join([json.dumps(BOTH)]),
        json.dumps(BOTH) + "\n" + json.dumps({"name": "row", "parameters": {}}),
        [None, BOTH, {}, "", json.dumps(BOTH)],
    ],
)
def test_the_same_tool(declared: Any) -> None:
    tools, flags = read_tools(declared)
    assert set(flags) <= {"repeated_tool"}
    assert tools[0]["name"] == "hire" and tools[0]["description"] == "Hires boats."
    assert check_call(Call("hire", {"lake": "Mjær", "boats": 2}), tools) == []
    assert check_call(Call("hire", {"boats": 2}), tools) == ["missing_argument: hire.lake"]
    assert check_call(Call("hire", {"lake": "Mjær", "boats": "2"}), tools) != []


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (
            {"name": "hire", "requestBody": {"content": {"application/json": {"schema": SCHEMA}}}},
            "requestBody",
        ),
        ({"name": "hire", "required_params": {"lake": "string"}}, "required_params"),
        ({"name": "hire", "oneOf": [SCHEMA]}, "oneOf"),
        ({"name": "hire", "properties": PROPERTIES, "required": ["lake"]}, "properties"),
        ({"name": "hire", "parameters": {"type": "object", "properties": {}}, "slots": PROPERTIES}, "slots"),
        ({"name": "hire", "api_arguments": ["lake", "boats"]}, "api_arguments"),
        (_parameters(type="array", items={"type": "string"}), "of the type array"),
        (_parameters(type="string"), "of the type string"),
        (_parameters(parameters=SCHEMA), "parameters"),
        (_parameters(schema=SCHEMA), "schema"),
        (_parameters({"$ref": "#/definitions/Gone"}), "say nothing that is read"),
        (_parameters(type="object", properties={}, required=["lake"]), "say nothing that is read"),
        (_parameters(type="object", unevaluatedProperties={"type": "string"}), "say nothing that is read"),
        (_parameters(shape={"lake": {"kind": "text"}}), "shape"),
        (_parameters("lake: str"), "Expecting value"),
        ({"type": "web_search"}, "without a name"),
    ],
)
def test_a_tool_that_would_be_shown_as_taking_nothing_is_rejected(declared: Any, says: str) -> None:
    with pytest.raises(RowError, match=says):
        read_tools([declared])


@pytest.mark.parametrize(
    "none", [None, {}, "", "null", "None", "{}", {"type": "object"}, {"type": "object", "properties": {}}]
)
def test_a_tool_that_takes_nothing_is_shown_as_that(none: Any) -> None:
    tool, flags = read_tool({"name": "wait", "description": "Waits.", "parameters": none})
    assert flags == [] and tool["parameters"]["properties"] == {}


@pytest.mark.parametrize(
    ("declared", "flags"),
    [
        (_parameters(type="object", properties=PROPERTIES, required=True), ["schema_simplified"]),
        (_parameters(type="object", properties=PROPERTIES, required=["lake", 5]), ["schema_simplified"]),
        (
            _parameters(type="object", properties=PROPERTIES, deprecated=False),
            ["unread_schema_field:deprecated"],
        ),
        (
            {"type": "function", "description": "Sells boats.", "function": BOTH},
            ["unread_tool_field:description"],
        ),
        ({**BOTH, "function_name": "rent"}, ["unread_tool_field:function_name"]),
        ({**BOTH, "strict": False}, ["unread_tool_field:strict"]),
    ],
)
def test_what_is_not_shown_is_named(declared: Any, flags: list[str]) -> None:
    assert read_tool(declared)[1] == flags


def test_two_tools_of_one_name_that_differ_are_refused_and_equal_ones_are_one() -> None:
    other = {**BOTH, "parameters": {**SCHEMA, "required": []}}
    with pytest.raises(RowError, match="two different tools are called hire"):
        read_tools([BOTH, other])
    turned = {key: BOTH[key] for key in reversed(BOTH)}
    assert read_tools([BOTH, turned])[1] == ["repeated_tool"]
