"""When two lists of calls ask for the same thing."""

from __future__ import annotations

import copy
import random
from collections import Counter
from typing import Any

import pytest
from calls.call_strategies import call_lists
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call, check_call, match_calls
from funreason_train.calls.match import Canon, Strings

TOOLS: list[dict[str, Any]] = [
    {
        "name": "f",
        "parameters": {
            "type": "object",
            "properties": {
                "number": {"type": "number"},
                "integer": {"type": "integer"},
                "flag": {"type": "boolean"},
                "text": {"type": "string", "default": "all"},
                "limit": {"type": "number", "default": 10},
                "nothing": {"type": ["string", "null"], "default": None},
                "numbers": {"type": "array", "items": {"type": "number"}},
                "place": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}, "unit": {"type": "string", "default": "km"}},
                },
                "needed": {"type": "string", "default": "d"},
            },
            "required": ["needed"],
        },
    }
]


def f(**arguments: Any) -> Call:
    return Call("f", {"needed": "n", **arguments})


def equal(left: Call, right: Call, **options: Any) -> bool:
    forth, back = (
        match_calls([left], [right], TOOLS, **options),
        match_calls([right], [left], TOOLS, **options),
    )
    assert forth.equal == back.equal
    return forth.equal


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ({"number": 1}, {"number": 1.0}, True),
        ({"number": 0.0}, {"number": -0.0}, True),
        ({"integer": 1}, {"integer": 1.0}, False),
        ({"unknown": 1}, {"unknown": 1.0}, False),
        ({"unknown": [1]}, {"unknown": [1.0]}, False),
        ({"unknown": [1]}, {"unknown": [True]}, False),
        ({"unknown": {"a": 0}}, {"unknown": {"a": False}}, False),
        ({"number": 2**53 + 1}, {"number": float(2**53)}, False),
        ({"number": True}, {"number": 1}, False),
        ({"integer": False}, {"integer": 0}, False),
        ({"flag": True}, {"flag": True}, True),
        ({"flag": True}, {"flag": "true"}, False),
        ({"number": 1}, {"number": "1"}, False),
        ({"nothing": None}, {"nothing": "None"}, False),
        ({"numbers": [1, 2]}, {"numbers": [1.0, 2]}, True),
        ({"numbers": [1, 2]}, {"numbers": [2, 1]}, False),
        ({"numbers": [1, 1, 2]}, {"numbers": [2, 1]}, False),
        ({"numbers": [[1]]}, {"numbers": [1]}, False),
        ({"place": {"x": 1, "y": 2}}, {"place": {"y": 2, "x": 1.0}}, True),
        ({"place": {"x": 1}}, {"place": {"x": 1, "unit": "km"}}, True),
        ({"place": {"x": 1}}, {"place": {"x": 1, "unit": "mi"}}, False),
        ({}, {"text": "all"}, True),
        ({}, {"text": "some"}, False),
        ({}, {"limit": 10.0}, True),
        ({}, {"nothing": None}, True),
        ({}, {"flag": None}, False),
        ({}, {"unknown": None}, False),
        ({"text": "All"}, {"text": "all"}, False),
        ({"text": ""}, {"text": None}, False),
        ({"number": float("nan")}, {"number": float("nan")}, False),
    ],
)
def test_arguments(left: dict[str, Any], right: dict[str, Any], same: bool) -> None:
    assert equal(f(**left), f(**right)) is same


def test_a_required_argument_is_not_defaulted() -> None:
    assert not equal(Call("f", {}), Call("f", {"needed": "d"}))


def test_bfcl_string_rule() -> None:
    left, right = f(text="April 1, 2024", number=1), f(text="april 1 2024", number=1)
    assert not equal(left, right)
    assert equal(left, right, strings="bfcl")
    assert equal(f(text="it's"), f(text='it"s'), strings="bfcl")
    assert not equal(f(number=1), f(number="1"), strings="bfcl")


@pytest.mark.parametrize(
    ("predicted", "gold", "reason"),
    [
        ([f()], [f(), f()], "count"),
        ([f(), f(number=1)], [f(), f()], "arguments"),
        ([f(), f(needed="m")], [f(), f()], "values"),
        ([f(), f()], [f(), f()], "equal"),
        ([f(number=1), f(number=2)], [f(number=2), f(number=1)], "equal"),
        ([Call("g"), f()], [f(), f()], "tools"),
        ([f(stars=1)], [f()], "arguments"),
        ([], [], "equal"),
        ([], [f()], "count"),
    ],
)
def test_reasons_and_one_to_one(predicted: list[Call], gold: list[Call], reason: str) -> None:
    match = match_calls(predicted, gold, TOOLS)
    assert (match.equal, match.reason) == (reason == "equal", reason)
    assert bool(match) is match.equal


def test_order_matters_only_when_asked() -> None:
    forth, back = [f(number=1), f(number=2)], [f(number=2), f(number=1)]
    assert match_calls(forth, back, TOOLS)
    assert match_calls(forth, back, TOOLS, ordered=True).reason == "order"
    assert match_calls(forth, forth, TOOLS, ordered=True)


@given(call_lists, st.randoms())
def test_any_order_of_the_same_calls_matches(calls: list[Call], rng: random.Random) -> None:
    shuffled = copy.deepcopy(calls)
    rng.shuffle(shuffled)
    assert match_calls(shuffled, calls)
    assert not match_calls([*shuffled, Call("f")], calls)


@given(call_lists, call_lists)
def test_matching_is_symmetric(left: list[Call], right: list[Call]) -> None:
    assert match_calls(left, right) == match_calls(right, left)


few_values = {
    "number": st.sampled_from([1, 1.0, True, "1", float("nan")]),
    "anything": st.sampled_from([[1], [1.0], [True], 0, -0.0, None]),
    "text": st.sampled_from(["all", "All", "a.ll", 1]),
    "limit": st.sampled_from([10, 10.0, True]),
    "place": st.sampled_from([{"x": 1}, {"x": 1.0, "unit": "km"}, {"x": 1, "unit": "mi"}]),
}
few_arguments = st.fixed_dictionaries({}, optional=few_values)
few_calls = st.lists(st.builds(Call, st.sampled_from(["f", "f", "g", "h"]), few_arguments), max_size=4)


@given(few_calls, few_calls, st.data(), st.sampled_from(["exact", "bfcl"]))
def test_the_quick_answers_are_those_of_the_forms(
    left: list[Call], right: list[Call], data: st.DataObject, strings: Strings
) -> None:
    if data.draw(st.booleans()):
        right = [data.draw(st.sampled_from([call, *right])) for call in data.draw(st.permutations(left))]
    canon = Canon(TOOLS, strings)
    ours, theirs = ([canon.call(call) for call in side] for side in (left, right))
    names = [
        Counter((name, frozenset(key for key, _ in form)) for name, form in side) for side in (ours, theirs)
    ]
    if len(left) != len(right):
        reason = "count"
    elif Counter(name for name, _ in ours) != Counter(name for name, _ in theirs):
        reason = "tools"
    elif Counter(ours) == Counter(theirs):
        reason = "equal" if ours == theirs else "order"
    else:
        reason = "values" if names[0] == names[1] else "arguments"
    assert match_calls(left, right, TOOLS, ordered=True, strings=strings).reason == reason
    unordered = "equal" if reason == "order" else reason
    assert match_calls(left, right, TOOLS, strings=strings).reason == unordered


def test_what_additional_properties_say_of_values_counts() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    tools = [{"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}]
    one, other = Call("f", {"a": {"x": 1, "y": 2.0}}), Call("f", {"a": {"y": 2, "x": 1.0}})
    assert match_calls([one], [other], tools).equal
    assert not match_calls([one], [other]).equal, "without a schema, 1 is not 1.0"
    assert check_call(one, tools) == []
    assert check_call(Call("f", {"a": {"x": "1"}}), tools) == ["wrong_type: f.a.x is string, not number"]
