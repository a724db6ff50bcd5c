"""Where an embedded task happens: a random initial state, and the words that point at things in it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, get_args

from ...calls import Call
from ...environments import TableWorld, make_environment
from ...environments.domains.helpdesk import Level, Plan, Topic
from ...environments.domains.travel import Cabin
from .words import Split, ids, names

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


class Lookup(NamedTuple):
    """How an id is found.

    Attributes:
        tool: The tool that answers with the id.
        by: Its parameter, which is also the field of the record that it compares.
        text: How a user points at the record by the value of that field.
    """

    tool: str
    by: str
    text: str


LOOKUPS: Final = {
    "customer": Lookup("find_customer", "name", "customer {}"),
    "item": Lookup("find_item", "name", "item {}"),
    "station": Lookup("find_station", "city", "the station of {}"),
    "ticket": Lookup("last_ticket", "customer", "the last ticket of {}"),
    "train": Lookup("next_train", "station", "the next train from {}"),
}
"""Parameter that holds an id -> how the id is found; without an entry, only the id will do."""

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

_NAMED: Final = {way.tool: TABLES[parameter] for parameter, way in LOOKUPS.items() if way.by not in TABLES}
_RECORDS = 3


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
    tables = _world(environment).tables
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


def _world(name: str) -> TableWorld:
    made = make_environment(name)
    assert isinstance(made, TableWorld)
    return made


class World:
    """A live environment with the words to talk about it.

    Attributes:
        environment: What executes the calls.
        config: The state it started from.
        split: Its values come from here.
    """

    def __init__(self, rng: random.Random, split: Split, environment: str) -> None:
        self._rng, self.split = rng, split
        self.environment = _world(environment)
        self.config = make_state(rng, split, environment)
        self.environment.reset(self.config)

    def point_at(self, parameter: str, lookups: tuple[str, ...] = (), key: str | None = None) -> Reference:
        """A reference that needs exactly these lookups, the last of which gives the id.

        Args:
            parameter: The parameter that will take the id.
            lookups: Tools, in the order of the calls.
            key: The id to refer to; a random one if None.
        """
        table = self.config[TABLES[parameter]]
        key = key or self._rng.choice(list(table))
        if not lookups:
            return Reference(f"{parameter} {key}", key)
        way = LOOKUPS[parameter]
        value = table[key][way.by]
        by = self.point_at(way.by, lookups[:-1], value) if way.by in TABLES else Reference(value, value)
        return Reference(way.text.format(by.text), key, (*by.lookups, Call(way.tool, {way.by: value})))

    def value(self, tool: str, parameter: str, rng: random.Random | None = None) -> str | int:
        """A random value for a parameter that holds no id; drawn by `rng`, if it is given."""
        rng = rng or self._rng
        if parameter in WORDS:
            return rng.choice(WORDS[parameter])
        if parameter in NUMBERS:
            return rng.choice(NUMBERS[parameter])
        if tool in _NAMED:  # a lookup finds what is there
            return rng.choice([record[parameter] for record in self.config[_NAMED[tool]].values()])
        return rng.choice(names(self.split))
