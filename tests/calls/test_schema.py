"""Checking a call against the offered tools."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.calls import Call, check_call, compile_schema, index_tools
from funreason_train.calls.schema import MISSING

TOOLS: list[dict[str, Any]] = [
    {
        "name": "book",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "nights": {"type": "integer"},
                "price": {"type": "number"},
                "pets": {"type": "boolean"},
                "room": {"type": "string", "enum": ["single", "double"]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "guest": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                    "required": ["name"],
                },
                "code": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "note": {"type": ["string", "null"]},
                "rate": {"type": "number", "enum": [1, 2.5]},
                "any": {},
            },
            "required": ["city"],
        },
    },
    {"name": "open", "parameters": {"type": "object", "additionalProperties": True}},
    {"name": "bare"},
]


def slugs(call: Call) -> list[str]:
    return [problem.split(":")[0] for problem in check_call(call, TOOLS)]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"nights": 2, "price": 3, "pets": True, "room": "double"},
        {"price": 3.5, "tags": ["a", "b"], "guest": {"name": "x", "age": 3}},
        {"code": "x", "note": None},
        {"code": 7, "note": "y", "any": [{"z": None}]},
        {"rate": 1.0},
    ],
)
def test_legal_calls(arguments: dict[str, Any]) -> None:
    assert slugs(Call("book", {"city": "Oslo", **arguments})) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"nights": True}, ["wrong_type"]),
        ({"nights": 2.0}, ["wrong_type"]),
        ({"nights": "2"}, ["wrong_type"]),
        ({"price": True}, ["wrong_type"]),
        ({"pets": 1}, ["wrong_type"]),
        ({"pets": "true"}, ["wrong_type"]),
        ({"room": "suite"}, ["not_in_enum"]),
        ({"rate": True}, ["wrong_type"]),
        ({"tags": ["a", 1]}, ["wrong_type"]),
        ({"tags": "a"}, ["wrong_type"]),
        ({"guest": {"age": 3}}, ["missing_argument"]),
        ({"guest": {"name": "x", "sex": "f"}}, ["unknown_argument"]),
        ({"code": 1.5}, ["wrong_type"]),
        ({"note": 1}, ["wrong_type"]),
        ({"stars": 5}, ["unknown_argument"]),
        ({"stars": 5, "nights": "2"}, ["unknown_argument", "wrong_type"]),
    ],
)
def test_illegal_calls(arguments: dict[str, Any], expected: list[str]) -> None:
    assert slugs(Call("book", {"city": "Oslo", **arguments})) == expected


def test_missing_and_unknown() -> None:
    assert slugs(Call("book", {"nights": 2})) == ["missing_argument"]
    assert slugs(Call("nothing")) == ["unknown_tool"]
    assert check_call(Call("book", {"city": "x", "guest": {"name": 1}}), TOOLS) == [
        "wrong_type: book.guest.name is integer, not string"
    ]


def test_tools_that_take_anything_or_nothing() -> None:
    assert slugs(Call("open", {"whatever": 1})) == []
    assert slugs(Call("bare")) == []
    assert slugs(Call("bare", {"a": 1})) == ["unknown_argument"]


def test_a_union_beside_properties_does_not_hide_them() -> None:
    parameters = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    index = index_tools([{"name": "f", "parameters": parameters}])
    assert check_call(Call("f", {"a": 1}), index) == []
    assert check_call(Call("f", {"c": 1}), index) == ["unknown_argument: f.c"]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        "string",
        {"type": {}},
        {"type": "List[int]"},
        {"$ref": "#"},
        {"anyOf": [None]},
        {"enum": 3},
    ],
)
def test_a_schema_that_is_not_understood_allows_anything(schema: Any) -> None:
    index = index_tools([{"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}])
    for value in (None, 1, "x", [1], {"k": 1}):
        assert check_call(Call("f", {"a": value}), index) == []


@pytest.mark.parametrize(
    ("schema", "default"),
    [
        ({"type": "boolean", "default": False}, False),
        ({"type": "boolean", "default": "False"}, MISSING),
        ({"type": "integer", "default": ""}, MISSING),
        ({"type": "integer", "default": None}, None),
        ({"type": "number", "default": 1}, 1),
        ({"type": "string", "enum": ["a"], "default": "b"}, MISSING),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}], "default": 3}, 3),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}], "default": []}, MISSING),
        ({"type": "string"}, MISSING),
        ({"default": {"any": "thing"}}, {"any": "thing"}),
    ],
)
def test_a_default_that_its_own_schema_forbids_says_nothing(schema: Any, default: Any) -> None:
    found = compile_schema(schema).default
    assert found is default if default is MISSING else found == default


def test_a_schema_nested_without_end_is_cut() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    index = index_tools([{"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}])
    assert check_call(Call("f", {"a": [[[]]]}), index) == []
    assert check_call(Call("f", {"a": [[1]]}), index) == ["wrong_type: f.a[0][0] is integer, not array"]
