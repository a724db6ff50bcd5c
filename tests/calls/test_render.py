"""The canonical spelling of calls."""

from __future__ import annotations

import ast
import math

import pytest
from call_strategies import call_lists
from hypothesis import given, settings

from funreason_train.calls import Call, find_markers, parse_calls, render_calls


def test_canonical_form() -> None:
    calls = [Call("f", {"a": 1, "b": "x\n\"y'"}), Call("geo.g", {"c": [True, None, -0.5], "d": {"k": []}})]
    assert render_calls(calls) == '[f(a=1, b="x\\n\\"y\'"), geo.g(c=[True, None, -0.5], d={"k": []})]'


@settings(max_examples=300)
@given(call_lists)
def test_round_trip_is_exact(calls: list[Call]) -> None:
    text = render_calls(calls)
    read = parse_calls(text)
    assert repr(read) == repr(calls)  # tells -0.0 from 0.0, 1 from True and 1.0
    text.encode()  # surrogates are escaped
    assert render_calls(read) == text


@given(call_lists)
def test_is_python(calls: list[Call]) -> None:
    for call in calls:
        for value in call.arguments.values():
            text = render_calls([Call("f", {"a": value})])
            assert repr(ast.literal_eval(text[len("[f(a=") : -len(")]")])) == repr(value)


@given(call_lists)
def test_no_call_can_close_a_thought_or_a_turn(calls: list[Call]) -> None:
    assert find_markers(render_calls(calls)) == []


def test_integers_beyond_pythons_decimal_limit() -> None:
    for value in (10**5000, -(10**5000)):
        assert parse_calls(render_calls([Call("f", {"a": value})]))[0].arguments["a"] == value


@pytest.mark.parametrize(
    "call",
    [
        Call("7SN.pj"),
        Call("get-user"),
        Call("f", {"content-type": 1}),
        Call("f", {"a": math.nan}),
        Call("f", {"a": [math.inf]}),
        Call("f", {"a": {1: 2}}),
        Call("f", {"a": {1, 2}}),
        Call("f", {"a": b"x"}),
    ],
)
def test_refuses_what_it_cannot_spell(call: Call) -> None:
    with pytest.raises(ValueError):
        render_calls([call])
