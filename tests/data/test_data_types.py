"""Every dialect of types becomes one JSON schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call, check_call
from funreason_train.calls.declared import DeclarationError, json_schema, type_schema
from funreason_train.data.read.rows import RowError
from funreason_train.data.read.toolsets import read_tool

STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


@pytest.mark.parametrize(
    ("declared", "schema", "optional"),
    [
        ("str", STRING, False),
        ("str, optional", STRING, True),
        ("int, optional", INTEGER, True),  # "string" for this is a known converter's mistake
        ("string (optional)", STRING, True),
        ("List[int]", {"type": "array", "items": INTEGER}, False),
        ("List[int], optional", {"type": "array", "items": INTEGER}, True),
        ("typing.List[str]", {"type": "array", "items": STRING}, False),
        ("Dict[str, Any]", {"type": "object"}, False),
        ("Dict[str, int]", {"type": "object", "additionalProperties": INTEGER}, False),
        ("List[Dict[str, List[float]]]", None, False),
        ("Tuple[int, str]", {"type": "array", "items": {"anyOf": [INTEGER, STRING]}}, False),
        ("Tuple[int, ...]", {"type": "array"}, False),
        ("Set[str]", {"type": "array", "items": STRING}, False),
        ("Union[int, str]", {"anyOf": [INTEGER, STRING]}, False),
        ("Union[int, int]", INTEGER, False),
        ("int | None", {"anyOf": [INTEGER, {"type": "null"}]}, False),
        ("Optional[List[str]]", {"type": "array", "items": STRING}, True),
        ("Literal['a', 'b']", {"enum": ["a", "b"]}, False),
        ("Literal[1, True]", {"enum": [1, True]}, False),
        ("Callable[[float], float]", {}, False),
        ("dict", {"type": "object"}, False),
        ("float", NUMBER, False),
        ("any", {}, False),
        ("tuple", {"type": "array"}, False),
        ("bool", {"type": "boolean"}, False),
        ("SomeClass", {}, False),
        ("", {}, False),
        ("List[", {"type": "array"}, False),
        ("Literal[1, 2.5, None]", {"enum": [1, 2.5, None]}, False),
        ("Literal['a', Color.RED]", {}, False),  # an enum without all its values would forbid some
        ("list[dict]", {"type": "array", "items": {"type": "object"}}, False),
        ("set", {"type": "array"}, False),
        ("string[]", {"type": "array", "items": STRING}, False),
        ("int[][]", {"type": "array", "items": {"type": "array", "items": INTEGER}}, False),
        ("string or integer", {"anyOf": [STRING, INTEGER]}, False),
        ("optional str", STRING, True),
        ("uint8", INTEGER, False),
        ("<class 'float'>", NUMBER, False),
        ("str, default is 'x'", {"type": "string", "default": "x"}, True),
        ("str (default: 'a, b')", {"type": "string", "default": "a, b"}, True),
        ("str, default 5", {"type": "string", "default": "5"}, True),
        ("float, optional, defaults to 1.0.", {"type": "number", "default": 1.0}, True),
        ("List[int], default: [1, 2]", {"type": "array", "items": INTEGER, "default": [1, 2]}, True),
        ("bool=false", {"type": "boolean", "default": False}, True),
        ("Optional[int] = None", {"type": "integer", "default": None}, True),
        ("int, default __import__('os').getpid()", INTEGER, True),
        ("Literal['a, default b']", {"enum": ["a, default b"]}, False),
        ("object with key=value pairs", {"type": "object"}, False),
        ("DefaultDict[str, int]", {}, False),
        ("str" + " " * 100_000 + "x", {}, False),
    ],
)
def test_types_as_text(declared: str, schema: dict[str, Any] | None, optional: bool) -> None:
    found, says_optional = type_schema(declared)
    if schema is not None:
        assert found == schema
    else:
        assert found["items"]["additionalProperties"] == {"type": "array", "items": NUMBER}
    assert says_optional is optional


@given(st.text(alphabet="Listr[],| int.'\"()Optional", max_size=60))
def test_any_text_is_some_type(declared: str) -> None:
    schema, optional = type_schema(declared)
    assert isinstance(schema, dict) and isinstance(optional, bool)


def test_bfcl_dialect_nested() -> None:
    declared = {
        "type": "dict",
        "properties": {
            "where": {"type": "tuple", "items": {"type": "float"}},
            "how": {"type": "string", "enum": ["fast", "slow"], "description": "x"},
        },
        "required": ["where", "not there"],
    }
    assert json_schema(declared) == {
        "type": "object",
        "properties": {
            "where": {"type": "array", "items": NUMBER},
            "how": {"type": "string", "enum": ["fast", "slow"], "description": "x"},
        },
        "required": ["where"],
    }


def test_json_schema_unions_and_references() -> None:
    declared = {
        "$defs": {"id": {"type": "integer"}},
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/id"},
            "b": {"type": ["string", "null"]},
            "c": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "d": {"$ref": "https://elsewhere/schema.json"},
        },
    }
    properties = json_schema(declared)["properties"]
    assert properties["a"] == INTEGER
    assert properties["b"] == {"anyOf": [STRING, {"type": "null"}]}
    assert properties["c"] == {"anyOf": [INTEGER, STRING]}
    assert properties["d"] == {}


def test_cyclic_references_end() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    inner = json_schema(tree)["properties"]["left"]
    assert inner["properties"] == {"left": {}, "right": {}}


def test_references_that_multiply_are_refused() -> None:
    layers = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 20} for n in range(8)}
    with pytest.raises(DeclarationError, match="parts"):
        json_schema({"$defs": layers, "$ref": "#/$defs/l0"})


@pytest.mark.parametrize(
    ("declared", "schema"),
    [
        ({"type": "string", "default": None}, {"type": "string", "default": None}),
        ({"type": "string", "default": None, "enum": None}, STRING),  # nulls that a table filled in
        ({"type": "string", "nullable": True}, {"type": "string", "nullable": True}),
        ({"const": 5}, {"enum": [5]}),
        (
            {"type": "string", "pattern": "^a", "examples": ["ab"]},
            {"type": "string", "pattern": "^a", "examples": ["ab"]},
        ),
        (
            {"type": "array", "items": [{"type": "int"}, "str"]},
            {"type": "array", "items": {"anyOf": [INTEGER, STRING]}},
        ),
        ({"type": "array", "prefixItems": ["int"]}, {"type": "array", "items": INTEGER}),
        (
            {"type": "List[str], optional", "description": "x"},
            {"type": "array", "items": STRING, "description": "x"},
        ),
        ({"type": ["integer", "null"], "default": 3}, {"anyOf": [INTEGER, {"type": "null"}], "default": 3}),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, {"anyOf": [INTEGER, STRING]}),
    ],
)
def test_what_a_schema_says_is_kept(declared: dict[str, Any], schema: dict[str, Any]) -> None:
    assert json_schema(declared) == schema


def test_all_of_and_what_stands_beside_a_reference() -> None:
    declared = {
        "$defs": {"base": {"type": "object", "properties": {"a": {"type": "int"}}, "required": ["a"]}},
        "type": "object",
        "properties": {
            "one": {"$ref": "#/$defs/base", "description": "its own words"},
            "two": {
                "allOf": [{"$ref": "#/$defs/base"}],
                "properties": {"b": {"type": "str", "required": True}},
            },
        },
    }
    properties = json_schema(declared)["properties"]
    assert properties["one"]["description"] == "its own words"
    assert properties["one"]["properties"] == {"a": INTEGER}
    assert properties["two"] == {
        "type": "object",
        "properties": {"a": INTEGER, "b": STRING},
        "required": ["a", "b"],
    }


_SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("List[int]"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "anyOf",
                    "allOf",
                    "enum",
                    "required",
                    "$ref",
                    "default",
                    "const",
                    "a",
                    "nullable",
                ]
            ),
            inner | st.just("#") | st.just("#/properties/a"),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_SCHEMAS)
def test_any_declaration_is_a_schema_or_rejected(declared: Any) -> None:
    try:
        schema = json_schema(declared)
    except DeclarationError:
        with pytest.raises(RowError, match="tool_shape"):
            read_tool({"name": "f", "parameters": {"a": declared}})
    else:
        assert isinstance(schema, dict)
        check_call(Call("f", {"a": 1}), [{"name": "f", "parameters": {"properties": {"a": schema}}}])


def test_every_type_that_bfcl_declares_is_understood() -> None:
    """The dialect as the installed benchmark writes it, function by function."""
    data = Path(pytest.importorskip("bfcl_eval").__file__).parent / "data"
    types: set[str] = set()

    def walk(schema: Any) -> None:
        if isinstance(schema, dict):
            if isinstance(schema.get("type"), str):
                types.add(schema["type"])
            for value in schema.values():
                walk(value)
        elif isinstance(schema, list):
            for value in schema:
                walk(value)

    for file in [
        *data.glob("BFCL_v*_simple*.json"),
        *data.glob("BFCL_v*_live_multiple.json"),
        *data.glob("*/*.json"),
    ]:
        for line in file.read_text().splitlines():
            row = json.loads(line)
            declared = (
                row.get("function", [row] if "parameters" in row else []) if isinstance(row, dict) else []
            )
            for function in declared if isinstance(declared, list) else [declared]:
                walk(function["parameters"])
                for schema in read_tool(function)[0]["parameters"]["properties"].values():
                    assert schema
    assert {"dict", "float", "tuple", "any", "HashMap", "ArrayList"} <= types
    assert {name for name in types if not type_schema(name)[0]} <= {"any", ""}
