"""Every dialect of types becomes one JSON schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.rows import RowError
from funreason_train.data.types import json_schema, type_schema

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
    with pytest.raises(RowError, match="parts"):
        json_schema({"$defs": layers, "$ref": "#/$defs/l0"})
