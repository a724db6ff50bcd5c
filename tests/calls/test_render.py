"""The canonical spelling of calls."""

from __future__ import annotations

import ast
import math

import pytest
from calls.call_strategies import call_lists, unicode_names
from hypothesis import example, given, settings

from funreason_train.calls import (
    Call,
    find_markers,
    is_argument_name,
    is_tool_name,
    parse_calls,
    render_calls,
)


def test_canonical_form() -> None:
    calls = [Call("f", {"a": 1, "b": "x\n\"y'"}), Call("geo.g", {"c": [True, None, -0.5], "d": {"k": []}})]
    assert render_calls(calls) == '[f(a=1, b="x\\n\\"y\'"), geo.g(c=[True, None, -0.5], d={"k": []})]'


@settings(max_examples=300)
@given(call_lists)
def test_round_trip_is_exact(calls: list[Call]) -> None:
    text = render_calls(calls)
    read = parse_calls(text)
    assert repr(read) == repr(calls)  # tells -0.0 from 0.0, 1 from True and 1.0
    text.encode()
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


def test_integers_up_to_pythons_decimal_limit() -> None:
    for value in (10**4299, 10**4300 - 1, -(10**4300 - 1)):
        assert parse_calls(render_calls([Call("f", {"a": value})]))[0].arguments["a"] == value


@settings(max_examples=500)
@given(unicode_names)
@example("मौसम")
@example("வானிலை")
@example("cafe\u0301")
@example("caf\u00e9")
@example("ﬁnd")
@example("ｆ")
@example("\u0958लम")
def test_a_name_is_read_back_as_it_is_written_or_not_written_at_all(name: str) -> None:
    for call, written in (
        (Call(name, {"a": 1}), is_tool_name(name)),
        (Call("f", {name: 1}), is_argument_name(name)),
    ):
        if written:
            assert repr(parse_calls(render_calls([call]))) == repr([call])
        else:
            with pytest.raises(ValueError):
                render_calls([call])


def test_names_of_every_script_are_written() -> None:
    assert all(map(is_tool_name, ["मौसम", "வானிலை", "café", "查询.天气", "อากาศ", "الطقس", "भाषा.खोज"]))
    assert not any(map(is_tool_name, ["cafe\u0301", "ﬁnd", "ｆ", "\u0958लम", "a\u00b2", "a：b"]))


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
        Call("f", {"a": 10**4300}),
        Call("f", {"a": [{"b": -(10**5000)}]}),
        Call("f", {"a": "\ud83d"}),
        Call("f", {"a": "\ud83d\ude00"}),
        Call("f", {"a": {"\ude00": 1}}),
        Call("cafe\u0301"),
        Call("f", {"cafe\u0301": 1}),
    ],
)
def test_refuses_what_it_cannot_spell(call: Call) -> None:
    with pytest.raises(ValueError):
        render_calls([call])
