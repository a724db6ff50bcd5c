"""Drawing a starting configuration: people, places, ids and amounts, all from one source of chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, TypeVar

Item = TypeVar("Item")

_GIVEN = (
    *(
        "Amara",
        "Bastian",
        "Clea",
        "Dario",
        "Edda",
        "Florin",
        "Greta",
        "Hakan",
        "Ilse",
        "Jonah",
        "Kaya",
        "Levin",
    ),
    *(
        "Mirel",
        "Nadia",
        "Otis",
        "Petra",
        "Quirin",
        "Ronja",
        "Selma",
        "Tarek",
        "Una",
        "Vito",
        "Wanda",
        "Yusuf",
    ),
)
_FAMILY = (
    *("Abendroth", "Brandt", "Castellan", "Dorn", "Eberle", "Fenn", "Galanis", "Hollis", "Imhof", "Jansen"),
    *("Kestrel", "Lorenz", "Marlowe", "Nowak", "Okafor", "Pires", "Quade", "Rossi", "Sandoval", "Thorne"),
)
_TOWNS = (
    *("Altmoor", "Birkwell", "Corvale", "Dunmere", "Eastholm", "Farrow", "Gildersea", "Hartwick", "Inverlay"),
    *("Joswick", "Kelmouth", "Lindenau", "Merrowby", "Northam", "Ostrava Bay", "Pinehurst", "Quarry Hill"),
)
_STREETS = ("Mill Lane", "Station Road", "Harbour Street", "Oak Avenue", "Castle Square", "River Walk")


_LARGEST = 200


class Draw:
    """A configuration in the making.

    Args:
        random: Where everything comes from.
        size: About how many records of each kind.

    Attributes:
        config: What has been drawn: the tables, and `fresh`.
        size: At least 1, and as much as there are names for.
    """

    def __init__(self, random: Random, size: int) -> None:
        self.random, self.size = random, min(max(size, 1), _LARGEST)
        self.config: dict[str, Any] = {"fresh": {}}

    def table(self, name: str, prefix: str, records: Iterable[dict[str, Any]], spare: int = 0) -> list[str]:
        """Stores records under ids of their own and keeps ids for later ones; returns the records' ids.

        Args:
            name: Of the table.
            prefix: What its ids begin with.
            records: In order.
            spare: How many new records there may be; 0 for none.
        """
        rows = list(records)
        numbers = self.random.sample(range(1000, 10_000), len(rows) + spare)
        ids = [f"{prefix}{number}" for number in numbers]
        self.config[name] = dict(zip(ids, rows, strict=False))
        if spare:
            self.config["fresh"][name] = ids[len(rows) :]
        return ids[: len(rows)]

    def people(self, count: int | None = None) -> list[str]:
        """Different full names."""
        pairs = [f"{given} {family}" for given in _GIVEN for family in _FAMILY]
        return self.random.sample(pairs, count or self.size)

    def towns(self, count: int | None = None) -> list[str]:
        """Different towns, as far as there are."""
        return self.random.sample(_TOWNS, min(count or self.size, len(_TOWNS)))

    def address(self) -> str:
        """A street and a number."""
        return f"{self.random.randrange(1, 99)} {self.random.choice(_STREETS)}"

    def one(self, items: Sequence[Item]) -> Item:
        """Any of these."""
        return self.random.choice(items)

    def some(self, items: Sequence[Item], most: int) -> list[Item]:
        """Up to `most` different ones of these, in their order."""
        chosen = set(self.random.sample(range(len(items)), self.random.randint(0, min(most, len(items)))))
        return [item for place, item in enumerate(items) if place in chosen]

    def amount(self, least: float, most: float, digits: int = 2) -> float:
        """A number between two."""
        return round(self.random.uniform(least, most), digits)

    def number(self, least: int, most: int) -> int:
        """A whole number between two, both included."""
        return self.random.randint(least, most)

    def code(self, digits: int) -> str:
        """Digits, as in a PIN."""
        return "".join(self.random.choice("0123456789") for _ in range(digits))
