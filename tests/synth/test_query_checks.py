"""Phase II and III's checks by code: what a query must hold and must not, and what a hint must not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth.traces import graph, step, tickets

from funreason_train.calls import Call, render_calls
from funreason_train.synth.chain.advanced import AdvancedTool, advanced_problems
from funreason_train.synth.chain.hints import fallback, reveals
from funreason_train.synth.chain.needs import needs_of
from funreason_train.synth.chain.purposes import purposes
from funreason_train.synth.chain.query import names_tool, query_problems, says
from funreason_train.synth.explore.graph import Graph


def test_the_papers_example_needs_two_cities_and_hides_the_zip_codes() -> None:
    needs = tickets()
    assert [one.shown for one in needs.given] == [("city", "Rivermist"), ("city", "Stonebrook")]
    assert needs.derived == ("83214", "74532")
    assert needs.goals == (2,) and needs.hidden == (0, 1)
    hard = "Please purchase air tickets between Rivermist and Stonebrook."
    assert query_problems(hard, needs) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Tickets from Rivermist, please.", "query_lacks_value: city"),
        ("Use get_zipcode for Rivermist and Stonebrook.", "query_names_tool: get_zipcode"),
        ("From Rivermist (83214) to Stonebrook.", "query_gives_value_away: 83214"),
        ("From Rivermistic to Stonebrook.", "query_lacks_value: city"),
    ],
)
def test_what_is_wrong_with_a_hard_query_is_told(text: str, problem: str) -> None:
    assert query_problems(text, tickets()) == [problem]


def test_a_tool_of_one_word_is_named_where_it_is_called_and_not_where_it_is_counted() -> None:
    assert names_tool("Please add(1).", "add") and names_tool("Call `add`.", "add")
    assert not names_tool("Please add (2 times). Details: first 1.", "add")


def test_an_easy_query_may_name_its_steps_and_has_to_hold_every_value() -> None:
    text = "First get_zipcode of Rivermist (83214), then of Stonebrook."
    assert query_problems(text, tickets(), hard=False) == []
    assert query_problems("First get_zipcode.", tickets(), hard=False) == ["query_lacks_value: city"] * 2


def test_what_is_left_out_must_not_be_told() -> None:
    needs = tickets()
    apart = needs.given[:1]
    assert query_problems("Tickets to Stonebrook.", needs, apart) == []
    assert query_problems("From Rivermist to Stonebrook.", needs, apart) == ["query_tells_left_out: city"]


def test_a_record_of_a_list_is_told_by_what_sets_it_apart() -> None:
    flights = {"flights": [{"id": "F1x9", "hour": "09:40"}, {"id": "F2x8", "hour": "11:15"}]}
    trace = [
        step(0, "list_flights", flights, city="Belham"),
        step(1, "book", {"ok": 1}, True, flight=("F2x8", 0, ("flights", 1, "id"))),
    ]
    needs = needs_of(trace, trace, graph("list_flights", "book"))
    assert [one.shown for one in needs.given] == [("city", "Belham"), ("hour", "11:15")]
    assert needs.derived == ("F2x8",)
    same = {"flights": [{"id": "F1x9", "hour": "09:40"}, {"id": "F2x8", "hour": "09:40"}]}
    trace = [
        step(0, "list_flights", same, city="Belham"),
        step(1, "book", {"ok": 1}, True, flight=("F2x8", 0, ("flights", 1, "id"))),
    ]
    needs = needs_of(trace, trace, graph("list_flights", "book"))
    assert ("flight", "F2x8") in [one.shown for one in needs.given], "nothing tells the two apart"


@given(
    st.one_of(
        st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text("abcXYZ ._-", min_size=1)
    )
)
def test_a_text_that_shows_a_value_says_it(value: Any) -> None:
    from funreason_train.synth.agents.phrases import told

    assert says(f"Details: {told('the thing', value)}; and more.", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It costs 125.", 12),
        ("It costs 12.5.", 12),
        ("For Annabel.", "Anna"),
        ("Item 7", 7.5),
        ("a, b", ["a", "c"]),
    ],
)
def test_a_part_of_a_value_is_not_the_value(text: str, value: Any) -> None:
    assert not says(text, value)


def test_an_advanced_tool_is_no_sub_tool_and_asks_for_nothing_that_is_found_out() -> None:
    def made(name: str, *inputs: str) -> AdvancedTool:
        return AdvancedTool(name, "Buys.", {key: {} for key in inputs}, "")

    needs = tickets()
    assert advanced_problems(made("buy_tickets_adv", "city", "city_2"), needs) == []
    assert advanced_problems(made("buy_tickets", "city"), needs) == ["advanced_name"]
    assert advanced_problems(made("buy now", "city"), needs) == ["advanced_name"]
    assert advanced_problems(made("buy_tickets_adv", "zipcode"), needs) == ["advanced_inputs"]


CALLS = st.builds(
    Call,
    st.sampled_from(["buy_tickets", "f", "getZip"]),
    st.dictionaries(
        st.sampled_from(["city", "n"]), st.one_of(st.text("abc d", min_size=1), st.integers()), min_size=1
    ),
)


@given(CALLS, st.text(" .", max_size=3))
def test_a_hint_with_the_gold_call_in_it_is_found_out(call: Call, around: str) -> None:
    assert reveals(f"{around}Try {render_calls([call])}{around}", [call])
    assert reveals(f"Call {call.name} with " + ", ".join(map(str, call.arguments.values())), [call])
    assert reveals(f"Call {call.name}(…)", [call])


@given(st.lists(CALLS, max_size=3))
def test_the_hint_that_is_given_instead_never_holds_it(gold: list[Call]) -> None:
    hint = fallback(gold)
    assert not hint or not reveals(hint, gold)


def test_a_hint_may_name_a_tool_but_none_of_its_values() -> None:
    gold = [Call("buy_tickets", {"start": "83214", "end": "74532"})]
    assert not reveals("You forgot to use buy_tickets.", gold)
    assert reveals("The start is 83214, look it up.", gold)
    assert reveals("The end is 74,532.", gold)


def test_a_list_that_does_not_tell_its_values_apart_is_asked_for_beside_the_value() -> None:
    tables = [{"name": "products"}, {"name": "orders"}]
    trace = [
        step(0, "list_tables", tables),
        step(1, "describe_table", [{"type": "TEXT"}], table=("orders", 0, (1, "name"))),
    ]
    needs = needs_of(trace, trace, graph("list_tables", "describe_table"))
    assert [(one.parameter, one.value) for one in needs.given] == [("table", "orders")]
    assert needs.goals == (0, 1) and not needs.derived, "nobody lists tables to learn a name that is told"


def test_values_of_one_name_inside_a_call_are_told_with_what_they_stand_in() -> None:
    trace = [step(0, "measure", {"far": 5}, start={"x": 1, "y": 2}, end={"x": 4}, x=7)]
    needs = needs_of(trace, trace, graph("measure"))
    assert [one.shown for one in needs.given] == [("start_x", 1), ("y", 2), ("end_x", 4), ("x", 7)]
    assert not any(purposes(needs, one) for one in needs.given)


def known(tool: str, parameter: str, *, made: int) -> Graph:
    """A graph in which so many calls of a tool have succeeded with a value that was made up."""
    found = graph("find", tool)
    found.tools[tool].ok = 8
    found.tools[tool].sources[parameter] = {"made": [made, 8 - made], "result:find/day": [8 - made, 0]}
    return found


def test_what_something_new_holds_is_told_unless_nobody_can_know_it() -> None:
    """The day of a visit is not that of another one by itself; its patient's id has to be found out."""
    trace = [
        step(0, "find", {"day": "2026-03-05"}, name="Ada"),
        step(1, "book", {"visit": "V1"}, True, day=("2026-03-05", 0, ("day",))),
    ]
    told = needs_of(trace, trace, known("book", "day", made=8))
    assert [one.value for one in told.given] == ["Ada", "2026-03-05"] and not told.derived
    found = needs_of(trace, trace, known("book", "day", made=0))
    assert [one.value for one in found.given] == ["Ada"] and found.derived == ("2026-03-05",)


def test_a_number_of_which_only_that_is_told_is_no_answer_to_another_question() -> None:
    trace = [
        step(0, "find", {"converted_value": 5.5}, name="Ada"),
        step(1, "convert", {"converted_value": 2}, value=(5.5, 0, ("converted_value",))),
    ]
    needs = needs_of(trace, trace, known("convert", "value", made=8))
    assert [one.value for one in needs.given] == ["Ada", 5.5] and needs.goals == (0, 1)
