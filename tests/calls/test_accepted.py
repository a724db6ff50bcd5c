"""Gold calls that accept several values an argument."""

from __future__ import annotations

from typing import Any

import pytest
from calls.call_strategies import call_lists
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Acceptance, AcceptedCall, Call, match_calls

TOOLS: list[dict[str, Any]] = [
    {
        "name": "book",
        "parameters": {
            "type": "dict",
            "properties": {
                "city": {"type": "string"},
                "price": {"type": "float"},
                "nights": {"type": "integer", "default": 1},
                "pets": {"type": "boolean"},
                "dates": {"type": "array", "items": {"type": "integer"}},
                "guest": {
                    "type": "dict",
                    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                },
                "guests": {"type": "array", "items": {"type": "dict"}},
                "class": {"type": "string", "default": "plain"},
            },
            "required": ["city"],
        },
    }
]


def right(accepted: dict[str, list[Any]], **arguments: Any) -> bool:
    gold = AcceptedCall("book", {"city": ["Oslo"], **accepted})
    match = Acceptance([gold], TOOLS).match([Call("book", {"city": "Oslo", **arguments})])
    return match.equal


@pytest.mark.parametrize(
    ("accepted", "arguments", "expected"),
    [
        ({"nights": [2, 3]}, {"nights": 3}, True),
        ({"nights": [2, 3]}, {"nights": 4}, False),
        ({"nights": [2, 3]}, {"nights": 2.0}, False),
        ({"nights": [2]}, {"nights": "2"}, False),
        ({"pets": [True]}, {"pets": 1}, False),
        ({"nights": [1]}, {"nights": True}, False),
        ({"price": [2.0]}, {"price": 2}, True),
        # Left out: only where that is accepted, or means the same.
        ({"pets": [True, ""]}, {}, True),
        ({"pets": [True]}, {}, False),
        ({"pets": [""]}, {}, True),
        ({"pets": [""]}, {"pets": False}, False),
        ({"nights": [1]}, {}, True),
        ({"nights": [2]}, {}, False),
        ({"nights": [""]}, {"nights": 1}, True),
        ({}, {"nights": 1}, True),
        ({}, {"nights": 2}, False),
        ({}, {"pets": False}, False),
        # The mark is no value.
        ({"class": ["first", ""]}, {"class": ""}, False),
        ({"class": ["first", ""]}, {"class": "-"}, False),
        ({"class": ["first", ""]}, {"class": "plain"}, True),
        ({"class": ["first"]}, {"class": "FIRST."}, True),
        # Lists keep their order and length.
        ({"dates": [[1, 1, 2], [3]]}, {"dates": [3]}, True),
        ({"dates": [[1, 1, 2]]}, {"dates": [1, 2]}, False),
        ({"dates": [[1, 2]]}, {"dates": [2, 1]}, False),
        ({"dates": [[]]}, {"dates": []}, True),
        ({"dates": [[]]}, {}, False),
        # Objects list the accepted values of each key.
        ({"guest": [{"name": ["Ann", "Anna"], "age": [30, ""]}]}, {"guest": {"name": "anna"}}, True),
        ({"guest": [{"name": ["Ann"], "age": [30, ""]}]}, {"guest": {"name": "Ann", "age": 30}}, True),
        ({"guest": [{"name": ["Ann"], "age": [30, ""]}]}, {"guest": {"name": "Ann", "age": 31}}, False),
        ({"guest": [{"name": ["Ann"], "age": [30]}]}, {"guest": {"name": "Ann"}}, False),
        ({"guest": [{"name": ["Ann"]}]}, {"guest": {"name": "Ann", "sex": "f"}}, False),
        ({"guest": [{"name": ["Ann"]}]}, {"guest": "Ann"}, False),
        ({"guest": [{"name": ["Ann"]}, {"name": ["Bob"]}]}, {"guest": {"name": "Bob"}}, True),
        ({"guest": [{}]}, {"guest": {}}, True),
        ({"guests": [[{"n": ["a"]}, {"n": ["b", "c"]}]]}, {"guests": [{"n": "a"}, {"n": "c"}]}, True),
        ({"guests": [[{"n": ["a"]}, {"n": ["b"]}]]}, {"guests": [{"n": "b"}, {"n": "a"}]}, False),
        ({"guests": [[{"n": ["a"]}]]}, {"guests": [{"n": "a"}, {"n": "a"}]}, False),
        ({"guests": [[{"n": [{"x": 1}]}]]}, {"guests": [{"n": {"x": 1}}]}, True),
        ({"guests": [[{"n": [{"x": 1}]}]]}, {"guests": [{"n": {"x": 2}}]}, False),
    ],
)
def test_accepted_values(accepted: dict[str, list[Any]], arguments: dict[str, Any], expected: bool) -> None:
    assert right(accepted, **arguments) is expected


def accept(**arguments: list[Any]) -> AcceptedCall:
    return AcceptedCall("f", arguments)


def test_reasons() -> None:
    gold = [accept(a=[1, 2])]
    for calls, reason in (
        ([], "count"),
        ([Call("g", {"a": 1})], "tools"),
        ([Call("f", {"b": 1})], "arguments"),
        ([Call("f", {"a": 3})], "values"),
        ([Call("f", {"a": 2})], "equal"),
    ):
        assert Acceptance(gold).match(calls).reason == reason


def test_each_gold_call_needs_a_call_of_its_own_and_taking_the_first_that_fits_is_not_enough() -> None:
    gold = [accept(a=[1, 2]), accept(a=[1])]
    one, two = Call("f", {"a": 1}), Call("f", {"a": 2})
    for calls in ([one, two], [two, one]):
        assert Acceptance(gold).match(calls)
    assert not Acceptance(gold).match([one, one, two])
    assert not Acceptance(gold).match([two, two])
    assert Acceptance(gold).match([one, two], ordered=True).reason == "order"
    assert Acceptance(gold).match([two, one], ordered=True)


def test_many_alike_calls_are_assigned_in_bounded_time() -> None:
    gold = [accept(a=list(range(at + 1))) for at in range(64)]
    calls = [Call("f", {"a": at}) for at in range(64)]
    assert Acceptance(gold).match(calls)
    assert Acceptance(gold).match(calls[::-1])
    assert not Acceptance(gold).match([*calls[:-1], Call("f", {"a": 64})])


def test_an_example_is_right() -> None:
    gold = AcceptedCall(
        "book",
        {
            "city": ["", "Oslo"],
            "pets": [""],
            "dates": [[1, 2]],
            "guest": [{"name": ["Ann"], "age": ["", 3], "x": [""]}],
            "guests": [[{"n": ["a"]}]],
        },
    )
    call = gold.example()
    assert call == Call(
        "book",
        {"city": "Oslo", "dates": [1, 2], "guest": {"name": "Ann", "age": 3}, "guests": [{"n": "a"}]},
    )
    assert Acceptance([gold], TOOLS).match([call])
    with pytest.raises(ValueError, match="no value"):
        accept(a=[]).example()


@given(call_lists, st.booleans())
def test_one_accepted_value_each_is_the_same_as_a_plain_gold(calls: list[Call], ordered: bool) -> None:
    flat = [
        Call(call.name, {k: v for k, v in call.arguments.items() if not isinstance(v, dict | list | str)})
        for call in calls
    ]
    gold = [AcceptedCall(call.name, {k: [v] for k, v in call.arguments.items()}) for call in flat]
    for predicted in (flat, flat[::-1], flat[1:], [*flat, flat[0]]):
        assert Acceptance(gold).match(predicted, ordered=ordered) == match_calls(
            predicted, flat, ordered=ordered, strings="bfcl"
        )
