"""Where an embedded task happens: a random initial state, and the words that point at things in it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, get_args

from ...calls import Call
from ...environments import Environment, make_environment
from ...environments.helpdesk import Level, Plan, Topic
from ...environments.travel import Cabin
from .embedded_words import Split, ids, names

TABLES: Final = {
    "customer": "customers",
    "ticket": "tickets",
    "item": "items",
    "order": "orders",
    "station": "stations",
    "train": "trains",
    "booking": "bookings",
}
"""Parameter that holds an id -> the table of that id."""

LOOKUPS: Final = {
    "customer": "find_customer",
    "item": "find_item",
    "station": "find_station",
    "ticket": "last_ticket",
    "train": "next_train",
}
"""Parameter that holds an id -> the tool that finds it; where none exists, only the id itself will do."""

PRODUCTS: Final = {"open_ticket": "ticket", "order_item": "order", "book_seat": "booking"}
"""Tool that makes a record -> the parameter that takes the new id."""

ENDINGS: Final = frozenset({"close_ticket", "ship_order", "cancel_order", "cancel_booking"})
"""Tools after which little can be done with their record."""

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "plan": get_args(Plan),
    "topic": get_args(Topic),
    "level": get_args(Level),
    "cabin": get_args(Cabin),
}
NUMBERS: Final = {"price": range(20, 100, 10), "quantity": range(2, 10)}

_LOOKED_UP: Final = {"find_customer": "customers", "find_item": "items", "find_station": "stations"}
_RECORDS = 3
_BY_NAME: Final = {"customer": "customer {}", "item": "item {}", "station": "the station of {}"}
_BY_OTHER: Final = {"ticket": "the last ticket of {}", "train": "the next train from {}"}


@dataclass(frozen=True)
class Reference:
    """One way of pointing at a record.

    Attributes:
        text: What the user says.
        key: The id it means.
        lookups: The calls that find the id, in order; empty when the text says it.
    """

    text: str
    key: str
    lookups: tuple[Call, ...] = ()


def make_state(rng: random.Random, split: Split, environment: str) -> dict[str, Any]:
    """A random initial state of a few records a table, with values of one split only."""

    some = rng.sample(names(split), 2 * _RECORDS)
    tables = make_environment(environment).tables
    drawn = {table: rng.sample(ids(table, split), 2 * _RECORDS) for table in tables}
    keys = {table: keys[:_RECORDS] for table, keys in drawn.items()}
    fresh = {table: keys[_RECORDS:] for table, keys in drawn.items()}
    # Each customer has one ticket, each item one order, each station and booking one train.
    owner = {table: rng.sample(keys[table], _RECORDS) for table in tables}
    records: dict[str, list[dict[str, Any]]] = {
        "customers": [{"name": name, "plan": rng.choice(WORDS["plan"])} for name in some[:_RECORDS]],
        "tickets": [
            {
                "customer": key,
                "topic": rng.choice(WORDS["topic"]),
                "status": "Open",
                "level": "Medium",
                "agent": None,
            }
            for key in owner.get("customers", ())
        ],
        "items": [
            {"name": name, "price": rng.choice(NUMBERS["price"]), "stock": rng.randrange(10, 20)}
            for name in some[:_RECORDS]
        ],
        "orders": [
            {"item": key, "quantity": rng.choice(NUMBERS["quantity"]), "city": None, "status": "New"}
            for key in owner.get("items", ())
        ],
        "stations": [{"city": city, "platforms": rng.randrange(2, 10)} for city in some[:_RECORDS]],
        "trains": [
            {"station": key, "fare": rng.choice(NUMBERS["price"]), "delay": rng.randrange(2, 10), "seats": 9}
            for key in owner.get("stations", ())
        ],
        "bookings": [
            {"train": key, "passenger": name, "cabin": "Second", "status": "Booked"}
            for key, name in zip(owner.get("trains", ()), some[_RECORDS:], strict=False)
        ],
    }
    state: dict[str, Any] = {table: dict(zip(keys[table], records[table], strict=True)) for table in tables}
    return {**state, "fresh": fresh}


class World:
    """A live environment with the words to talk about it.

    Attributes:
        environment: What executes the calls.
        config: The state it started from.
    """

    def __init__(self, rng: random.Random, split: Split, environment: str) -> None:
        self._rng, self._split = rng, split
        self.environment: Environment = make_environment(environment)
        self.config = make_state(rng, split, environment)
        self.environment.reset(self.config)

    def point_at(self, parameter: str, lookups: tuple[str, ...] = ()) -> Reference:
        """A reference to a random record that needs exactly these lookups, the last of which gives the id.

        Args:
            parameter: The parameter that will take the id.
            lookups: Tools, in the order of the calls.
        """
        table = TABLES[parameter]
        key = self._rng.choice(list(self.config[table]))
        record = self.config[table][key]
        if not lookups:
            return Reference(f"{parameter} {key}", key)
        tool = lookups[-1]
        if parameter in _BY_NAME:
            field = "city" if parameter == "station" else "name"
            return Reference(
                _BY_NAME[parameter].format(record[field]), key, (Call(tool, {field: record[field]}),)
            )
        owner_parameter = "customer" if parameter == "ticket" else "station"
        owner = self._about(owner_parameter, record[owner_parameter], lookups[:-1])
        text = _BY_OTHER[parameter].format(owner.text)
        return Reference(text, key, (*owner.lookups, Call(tool, {owner_parameter: owner.key})))

    def _about(self, parameter: str, key: str, lookups: tuple[str, ...]) -> Reference:
        if not lookups:
            return Reference(f"{parameter} {key}", key)
        field = "city" if parameter == "station" else "name"
        name = self.config[TABLES[parameter]][key][field]
        return Reference(_BY_NAME[parameter].format(name), key, (Call(lookups[-1], {field: name}),))

    def value(self, tool: str, parameter: str, rng: random.Random | None = None) -> str | int:
        """A random value for a parameter that holds no id; drawn by `rng`, if it is given."""
        rng = rng or self._rng
        if parameter in WORDS:
            return rng.choice(WORDS[parameter])
        if parameter in NUMBERS:
            return rng.choice(NUMBERS[parameter])
        if tool in _LOOKED_UP:  # a lookup finds what is there
            return rng.choice([record[parameter] for record in self.config[_LOOKED_UP[tool]].values()])
        return rng.choice(names(self._split))
