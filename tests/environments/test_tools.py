"""Every tool of the three oldest worlds: what it answers, what it changes, and when it refuses."""

import copy
import json
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments import make_environment

CONFIG = {
    "helpdesk": {
        "customers": {"C10": {"name": "Alwin", "plan": "Basic"}, "C11": {"name": "Corlo", "plan": "Plus"}},
        "tickets": {
            "T10": {"customer": "C10", "topic": "Login", "status": "Open", "level": "Medium", "agent": None},
            "T11": {"customer": "C10", "topic": "Refund", "status": "Closed", "level": "Low", "agent": None},
        },
        "fresh": {"tickets": ["T50"]},
    },
    "shop": {
        "items": {"K10": {"name": "Lumobox", "price": 30, "stock": 9}},
        "orders": {
            "R10": {"item": "K10", "quantity": 4, "city": None, "status": "New"},
            "R11": {"item": "K10", "quantity": 1, "city": "Oakford", "status": "Shipped"},
        },
        "fresh": {"orders": ["R50"]},
    },
    "travel": {
        "stations": {"S10": {"city": "Oakford", "platforms": 4}, "S11": {"city": "Redton", "platforms": 2}},
        "trains": {
            "N10": {"station": "S10", "fare": 25, "delay": 7, "seats": 1},
            "N11": {"station": "S10", "fare": 40, "delay": 0, "seats": 0},
        },
        "bookings": {
            "B10": {"train": "N10", "passenger": "Alwin", "cabin": "Second", "status": "Booked"},
            "B11": {"train": "N10", "passenger": "Corlo", "cabin": "First", "status": "Cancelled"},
        },
        "fresh": {"bookings": ["B50"]},
    },
}
ENVIRONMENT_OF = {tool["name"]: name for name in CONFIG for tool in make_environment(name).tools()}

# tool, arguments, answer, what changes: {"TABLE/ID/FIELD": value}
HAPPY = [
    ("find_customer", {"name": "Corlo"}, {"customer": "C11"}, {}),
    ("get_plan", {"customer": "C11"}, {"plan": "Plus"}, {}),
    (
        "set_plan",
        {"customer": "C10", "plan": "Premium"},
        {"plan": "Premium"},
        {"customers/C10/plan": "Premium"},
    ),
    (
        "open_ticket",
        {"customer": "C11", "topic": "Billing"},
        {"ticket": "T50"},
        {"tickets/T50/customer": "C11"},
    ),
    ("last_ticket", {"customer": "C10"}, {"ticket": "T11"}, {}),
    ("get_ticket", {"ticket": "T11"}, {"topic": "Refund", "status": "Closed"}, {}),
    (
        "assign_ticket",
        {"ticket": "T10", "agent": "Dandis"},
        {"agent": "Dandis"},
        {"tickets/T10/agent": "Dandis"},
    ),
    ("set_level", {"ticket": "T10", "level": "High"}, {"level": "High"}, {"tickets/T10/level": "High"}),
    (
        "change_topic",
        {"ticket": "T10", "topic": "Invoice"},
        {"topic": "Invoice"},
        {"tickets/T10/topic": "Invoice"},
    ),
    ("close_ticket", {"ticket": "T10"}, {"status": "Closed"}, {"tickets/T10/status": "Closed"}),
    ("find_item", {"name": "Lumobox"}, {"item": "K10"}, {}),
    ("get_price", {"item": "K10"}, {"price": 30}, {}),
    ("set_price", {"item": "K10", "price": 31}, {"price": 31}, {"items/K10/price": 31}),
    ("get_stock", {"item": "K10"}, {"stock": 9}, {}),
    ("restock_item", {"item": "K10", "quantity": 3}, {"stock": 12}, {"items/K10/stock": 12}),
    (
        "order_item",
        {"item": "K10", "quantity": 9},
        {"order": "R50"},
        {"items/K10/stock": 0, "orders/R50/quantity": 9},
    ),
    ("track_order", {"order": "R11"}, {"status": "Shipped"}, {}),
    (
        "change_order",
        {"order": "R10", "quantity": 13},
        {"quantity": 13},
        {"items/K10/stock": 0, "orders/R10/quantity": 13},
    ),
    ("ship_order", {"order": "R10", "city": "Redton"}, {"status": "Shipped"}, {"orders/R10/city": "Redton"}),
    (
        "cancel_order",
        {"order": "R10"},
        {"status": "Cancelled"},
        {"items/K10/stock": 13, "orders/R10/status": "Cancelled"},
    ),
    ("find_station", {"city": "Redton"}, {"station": "S11"}, {}),
    ("get_platforms", {"station": "S10"}, {"platforms": 4}, {}),
    ("next_train", {"station": "S10"}, {"train": "N11"}, {}),
    ("get_fare", {"train": "N10"}, {"fare": 25}, {}),
    ("get_delay", {"train": "N10"}, {"delay": 7}, {}),
    (
        "book_seat",
        {"train": "N10", "passenger": "Corlo"},
        {"booking": "B50"},
        {"trains/N10/seats": 0, "bookings/B50/train": "N10"},
    ),
    ("get_booking", {"booking": "B11"}, {"train": "N10", "cabin": "First"}, {}),
    (
        "change_cabin",
        {"booking": "B10", "cabin": "Sleeper"},
        {"cabin": "Sleeper"},
        {"bookings/B10/cabin": "Sleeper"},
    ),
    (
        "rename_booking",
        {"booking": "B10", "passenger": "Corlo"},
        {"passenger": "Corlo"},
        {"bookings/B10/passenger": "Corlo"},
    ),
    (
        "cancel_booking",
        {"booking": "B10"},
        {"status": "Cancelled"},
        {"trains/N10/seats": 2, "bookings/B10/status": "Cancelled"},
    ),
]

REFUSED = [
    ("find_customer", {"name": "Nobody"}),
    ("get_plan", {"customer": "C99"}),
    ("set_plan", {"customer": "C99", "plan": "Plus"}),
    ("set_plan", {"customer": "C11", "plan": "Plus"}),
    ("open_ticket", {"customer": "C99", "topic": "Login"}),
    ("last_ticket", {"customer": "C99"}),
    ("last_ticket", {"customer": "C11"}),
    ("get_ticket", {"ticket": "T99"}),
    ("assign_ticket", {"ticket": "T11", "agent": "Dandis"}),
    ("set_level", {"ticket": "T11", "level": "High"}),
    ("change_topic", {"ticket": "T99", "topic": "Login"}),
    ("close_ticket", {"ticket": "T11"}),
    ("find_item", {"name": "Nothing"}),
    ("get_price", {"item": "K99"}),
    ("set_price", {"item": "K10", "price": 0}),
    ("get_stock", {"item": "K99"}),
    ("restock_item", {"item": "K10", "quantity": 0}),
    ("order_item", {"item": "K10", "quantity": 10}),
    ("order_item", {"item": "K10", "quantity": 0}),
    ("track_order", {"order": "R99"}),
    ("change_order", {"order": "R10", "quantity": 14}),
    ("change_order", {"order": "R11", "quantity": 1}),
    ("ship_order", {"order": "R11", "city": "Redton"}),
    ("cancel_order", {"order": "R11"}),
    ("find_station", {"city": "Nowhere"}),
    ("get_platforms", {"station": "S99"}),
    ("next_train", {"station": "S11"}),
    ("get_fare", {"train": "N99"}),
    ("get_delay", {"train": "N99"}),
    ("book_seat", {"train": "N11", "passenger": "Corlo"}),
    ("get_booking", {"booking": "B99"}),
    ("change_cabin", {"booking": "B11", "cabin": "First"}),
    ("rename_booking", {"booking": "B11", "passenger": "Alwin"}),
    ("cancel_booking", {"booking": "B11"}),
]


@pytest.fixture
def world() -> Any:
    def make(tool: Any) -> Any:
        environment = make_environment(ENVIRONMENT_OF[tool])
        environment.reset(copy.deepcopy(CONFIG[environment.name]))
        return environment

    return make


def test_every_tool_has_a_happy_and_an_error_case() -> None:
    assert {row[0] for row in HAPPY} == {row[0] for row in REFUSED} == set(ENVIRONMENT_OF)


@pytest.mark.parametrize(("tool", "arguments", "answer", "changes"), HAPPY, ids=[row[0] for row in HAPPY])
def test_a_tool_answers_and_changes_what_it_says(
    world: Any, tool: Any, arguments: Any, answer: Any, changes: Any
) -> None:
    environment = world(tool)
    before = environment.snapshot()
    assert json.loads(environment.call(Call(tool, arguments)).text) == answer
    after = environment.snapshot()
    for place, value in changes.items():
        table, key, field = place.split("/")
        assert after[table][key][field] == value
    assert bool(environment.compare(before)) == bool(changes), "a tool that only tells changes nothing"


@pytest.mark.parametrize(("tool", "arguments"), REFUSED)
def test_a_refused_call_answers_with_an_error_and_changes_nothing(
    world: Any, tool: Any, arguments: Any
) -> None:
    environment = world(tool)
    before = environment.snapshot()
    result = environment.call(Call(tool, arguments))
    assert not result.ok and list(json.loads(result.text)) == ["error"]
    assert environment.compare(before) == []
