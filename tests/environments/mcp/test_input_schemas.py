"""Input schemas of every dialect, and of none, as parameters that this project reads."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call, check_call, index_tools
from funreason_train.environments.mcp.schemas import parameters_of
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph

NODE = {
    "type": "object",
    "properties": {
        "v": {"type": "integer"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["v"],
}
DIALECTS: dict[str, Any] = {
    "draft-04": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "definitions": {"Age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
        "properties": {"age": {"$ref": "#/definitions/Age"}},
        "required": ["age"],
    },
    "draft-07": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"unit": {"const": "metre"}, "pair": {"type": "array", "items": [{"type": "integer"}]}},
        "required": ["unit", "pair"],
        "additionalProperties": False,
    },
    "2019-09": {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "type": "object",
        "$defs": {
            "Named": {
                "$anchor": "named",
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            }
        },
        "properties": {"who": {"$ref": "#named"}},
        "required": ["who"],
    },
    "2020-12": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "point": {"type": "array", "prefixItems": [{"type": "number"}]},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["point", "day"],
    },
    "openapi": {"type": "object", "properties": {"note": {"type": "string", "nullable": True}}},
    "recursive": {
        "type": "object",
        "$defs": {"Node": NODE},
        "properties": {"tree": {"$ref": "#/$defs/Node"}},
        "required": ["tree"],
    },
    "itself": {
        "type": "object",
        "properties": {"again": {"$ref": "#"}, "n": {"type": "integer"}},
        "required": ["n"],
    },
    "union at the root": {
        "anyOf": [
            {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
            {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        ]
    },
    "one of two needed": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
        "oneOf": [{"required": ["id"]}, {"required": ["name"]}],
    },
    "all of": {
        "allOf": [{"$ref": "#/definitions/A"}, {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}],
        "definitions": {"A": {"properties": {"a": {"type": "string"}}, "required": ["a"]}},
    },
    "no type": {"properties": {"a": {"enum": [1, 2]}}, "required": ["a"]},
    "required that is not there": {"type": "object", "properties": {}, "required": ["ghost"]},
    "draft-03": {"properties": {"a": {"type": "string", "required": True}}},
    "nothing leads there": {
        "properties": {"a": {"$ref": "https://elsewhere.example/x.json"}},
        "required": ["a"],
    },
}


@pytest.mark.parametrize("name", DIALECTS)
def test_calls_are_drawn_that_the_schema_allows(name: str) -> None:
    parameters = parameters_of(DIALECTS[name])
    assert parameters["type"] == "object" and "$ref" not in json.dumps(parameters)
    document = {"name": "f", "description": "Does it.", "parameters": parameters}
    graph, schemas = Graph("x", [document]), index_tools([document])
    for seed in range(20):
        arguments, _ = Drawer(graph, {}).arguments("f", Random(seed))
        assert not check_call(Call("f", arguments), schemas), (parameters, arguments)


def test_what_each_dialect_says_is_understood() -> None:
    found = {name: parameters_of(schema)["properties"] for name, schema in DIALECTS.items()}
    assert found["draft-04"]["age"] == {"type": "integer", "exclusiveMinimum": 0}
    assert found["draft-07"] == {
        "unit": {"enum": ["metre"]},
        "pair": {"type": "array", "items": {"type": "integer"}},
    }
    assert found["2019-09"]["who"]["properties"] == {"name": {"type": "string"}}
    assert found["2020-12"]["point"]["items"] == {"type": "number"}
    assert found["openapi"]["note"]["type"] == ["string", "null"]
    assert found["recursive"]["tree"]["properties"]["children"]["items"]["required"] == ["v"]
    assert found["all of"].keys() == {"a", "b"}
    assert parameters_of(DIALECTS["all of"])["required"] == ["a", "b"]
    assert found["required that is not there"] == {"ghost": {}}
    assert parameters_of(DIALECTS["draft-03"])["required"] == ["a"]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        "x",
        {"type": "string"},
        {"properties": []},
        {"required": "a"},
        {"anyOf": 3},
        {"anyOf": [{"anyOf": "x"}]},
    ],
)
def test_what_is_no_schema_allows_a_call_without_arguments(schema: Any) -> None:
    assert parameters_of(schema)["properties"] == {}


def test_a_schema_that_grows_for_ever_ends() -> None:
    wide = {f"p{n}": {"$ref": "#/$defs/A"} for n in range(30)}
    schema = {"$defs": {"A": {"type": "object", "properties": wide}}, "properties": wide}
    assert len(json.dumps(parameters_of(schema))) < 2_000_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "required",
                    "items",
                    "anyOf",
                    "oneOf",
                    "allOf",
                    "$ref",
                    "enum",
                    "const",
                    "default",
                    "minimum",
                    "minItems",
                    "a",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_a_server_sends_becomes_parameters(schema: Any) -> None:
    parameters = parameters_of(schema)
    assert (
        parameters["type"] == "object"
        and set(parameters.get("required", ())) <= parameters["properties"].keys()
    )
