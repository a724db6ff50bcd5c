"""A query says what a value is for wherever it could be for something else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synth.traces import graph, step, tickets

from funreason_train.synth.chain.needs import needs_of
from funreason_train.synth.chain.purposes import Purpose, purposes


def _told(trace: list[Any]) -> dict[Any, list[Purpose]]:
    needs = needs_of(trace, trace, graph(*{one.call.name for one in trace}))
    return {one.value: purposes(needs, one) for one in needs.given}


def test_a_value_that_only_one_call_can_take_needs_no_word() -> None:
    price = [step(0, "get_price", {"price": 3}, item="K1"), step(1, "get_fare", {"fare": 2}, train="N1")]
    assert _told(price) == {"K1": [], "N1": []}
    same = [step(0, "get_price", {"price": 3}, item="K1"), step(1, "get_stock", {"stock": 2}, item="K1")]
    assert _told(same) == {"K1": []}


def test_one_that_is_given_and_one_that_is_found_out_are_told_apart() -> None:
    trace = [
        step(0, "find_item", {"item": "K1"}, name="Lamp"),
        step(1, "get_price", {"price": 3}, item=("K1", 0, ("item",))),
        step(2, "get_stock", {"stock": 5}, item="K2"),
    ]
    assert _told(trace) == {"Lamp": [], "K2": [Purpose("get_stock", 1, 1)]}


def test_the_same_tool_twice_says_which_time() -> None:
    trace = [
        step(0, "find_customer", {"customer": "C1"}, name="Ann"),
        step(1, "find_customer", {"customer": "C2"}, name="Bob"),
        step(2, "set_plan", {"ok": 1}, True, customer=("C1", 0, ("customer",)), plan="Plus"),
        step(3, "set_plan", {"ok": 1}, True, customer=("C2", 1, ("customer",)), plan="Free"),
    ]
    first, second = [Purpose("set_plan", 1, 2)], [Purpose("set_plan", 2, 2)]
    assert _told(trace) == {"Ann": first, "Bob": second, "Plus": first, "Free": second}


def test_two_that_serve_one_call_say_as_what() -> None:
    start, end = (purposes(tickets(), one) for one in tickets().given)
    assert start == [Purpose("buy_tickets", 1, 1, "start")]
    assert end == [Purpose("buy_tickets", 1, 1, "end")]


def test_no_made_query_leaves_open_what_a_value_is_for(synthesise: Callable[..., Path]) -> None:
    made = synthesise("trajectories=150", "environments=[shop,helpdesk]", "kinds={plain: 0.5, parallel: 0.5}")
    several = 0
    for line in (made / "conversations.jsonl").read_text().splitlines():
        for turn in json.loads(line)["synth"]["task"]["turns"]:
            values: dict[str, set[str]] = {}
            for call in (call for response in turn["steps"] for call in response):
                for name, value in call["arguments"].items():
                    values.setdefault(name, set()).add(str(value))
            for found in (found for found in values.values() if len(found) > 1):
                several += 1
                for value in found:
                    for place in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", turn["user"]):
                        assert turn["user"][place.end() :].startswith((" (to ", " (for ")), turn
    assert several >= 20


def test_the_same_as_before_is_what_was_last_called_so() -> None:
    """A count that equals the number of a step does not make it `the same step number as before`."""
    asked = step(0, "think", {"step_count": 1}, True, step_number=172)
    again = step(1, "plan", {"ok": 1}, True, step_number=(1, 0, ("step_count",)))
    known = graph("think", "plan")
    needs = needs_of([again], [asked, again], known)
    assert not needs.earlier and [one.value for one in needs.given] == [1]
    same = step(0, "think", {"step_count": 1, "step_number": 1}, True, step_number=1)
    assert [one.value for one in needs_of([again], [same, again], known).earlier] == [1]


def test_the_same_as_before_is_no_other_thing_of_a_like_name() -> None:
    made = step(0, "create_project", {"project_id": "P1", "start_date": "2026-03-05"}, True, title="Roof")
    again = step(1, "create_event", {"ok": 1}, True, start_time=("2026-03-05", 0, ("start_date",)))
    needs = needs_of([again], [made, again], graph("create_project", "create_event"))
    assert not needs.earlier and [one.value for one in needs.given] == ["2026-03-05"]
    again = step(1, "add_task", {"ok": 1}, True, project=("P1", 0, ("project_id",)))
    assert [
        one.value for one in needs_of([again], [made, again], graph("create_project", "add_task")).earlier
    ]


def test_a_value_that_nobody_could_have_taken_from_there_is_given() -> None:
    known = graph("think")
    known.tools["think"].sources["step_number"] = {"made": [9, 0]}
    trace = [
        step(0, "think", {"step_count": 1}, True, step_number=824),
        step(1, "think", {"step_count": 2}, True, step_number=(1, 0, ("step_count",))),
    ]
    assert [one.value for one in needs_of(trace, trace, known).given] == [824, 1]
    known.tools["think"].sources["step_number"] = {"made": [0, 9]}  # of an id that has to be found out
    assert [one.value for one in needs_of(trace, trace, known).given] == [824]


def test_nobody_calls_a_tool_to_be_told_what_they_have_said() -> None:
    """A call that changed nothing and answers with its own argument is wanted for itself."""
    trace = [
        step(0, "switch_on", {"lamp": "K1", "on": True}, lamp="K1"),
        step(1, "dim", {"lamp": "K1"}, True, lamp=("K1", 0, ("lamp",)), brightness=40),
    ]
    needs = needs_of(trace, trace, graph("switch_on", "dim"))
    assert needs.goals == (0, 1) and [one.value for one in needs.given] == ["K1", 40]


def test_what_only_makes_others_possible_is_told_from_what_finds_something_out() -> None:
    known = graph("sign_in", "find_account", "pay")
    known.tools["pay"].requires = ("sign_in",)
    trace = [
        step(0, "sign_in", {"welcome": "Ann"}, True, user="ann"),
        step(1, "find_account", {"account": "A77"}, owner="Ann"),
        step(2, "pay", {"ok": True}, True, account=("A77", 1, ("account",))),
    ]
    needs = needs_of(trace, trace, known)
    assert (needs.hidden, needs.prepares) == ((0, 1), (0,))


def test_a_value_that_only_one_of_several_calls_takes_says_which() -> None:
    trace = [
        step(0, "new_parcel", {"parcel": "P1"}, True),
        step(1, "new_parcel", {"parcel": "P2"}, True, city="Oslo"),
    ]
    needs = needs_of(trace, trace, graph("new_parcel"))
    (city,) = needs.given
    assert [(one.tool, one.which, one.of) for one in purposes(needs, city)] == [("new_parcel", 2, 2)]


def test_one_of_several_records_under_their_ids_is_not_known_by_itself() -> None:
    """As one of a list is not: the user picks it by a value of its own, or says what is wanted of it."""
    parcels = {"P1": {"city": "Oslo", "owner": "Ines"}, "P2": {"city": "Kiel", "owner": "Niels"}}
    found = step(0, "list_parcels", parcels)
    trace = [found, step(1, "send", {"ok": 1}, True, city=("Kiel", 0, ("P2", "city")))]
    known = graph("list_parcels", "send")
    assert [one.shown for one in needs_of(trace, trace, known).given] == [("owner", "Niels")]
    alike = step(0, "list_parcels", {"P1": {"city": "Oslo", "sent": True}, "P2": {"city": "Kiel"}})
    trace = [alike, trace[1]]
    assert [one.shown for one in needs_of(trace, trace, known).given] == [("city", "Kiel")]


def test_a_number_under_a_name_that_has_nothing_to_do_with_it_is_given() -> None:
    trace = [
        step(0, "new_parcel", {"parcel": "P101", "priority": 2}, True),
        step(1, "set_weight", {"ok": 1}, True, parcel=("P101", 0, ("parcel",)), weight=(2, 0, ("priority",))),
    ]
    needs = needs_of(trace, trace, graph("new_parcel", "set_weight"))
    assert [one.shown for one in needs.given] == [("weight", 2)]


def test_a_number_is_the_same_however_it_is_written() -> None:
    trace = [
        step(0, "set_weight", {"weight": 2.0}, True, weight=2),
        step(1, "set_weight", {"weight": 2.0}, weight=(2.0, 0, ("weight",))),
    ]
    needs = needs_of(trace, trace, graph("set_weight"))
    assert [purposes(needs, one) for one in needs.given] == [[]]
