"""The values of the embedded tasks, and which of them each split may use.

Names are compounds (`Nor` + `ford`) and ids are three letters, so that a value which training never
shows is still made of parts that training does show. Which split owns a value is a property of the value
alone.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache
from typing import Final, Literal

Split = Literal["train", "tuning", "heldout"]
SPLITS: Final[tuple[Split, ...]] = ("train", "tuning", "heldout")

_SHARES: Final = {"train": range(0, 6), "tuning": range(6, 8), "heldout": range(8, 10)}

NAME_PARTS: Final = (
    "Bel Cor Dan Fal Gor Hal Jor Kal Lan Mar Nor Per Ral Sol Tam Ur Vel Wil Yor Zan",
    "win wick wood well ford fell ham hill holm vin vale bert burn rik row roth",
)
"""The beginnings and the endings of names; a person, a city and a product may be called the same."""

IDS: Final = {
    "customers": "C",
    "tickets": "T",
    "items": "K",
    "orders": "R",
    "stations": "S",
    "trains": "N",
    "bookings": "B",
}
"""Table of an environment to the letter that its ids begin with."""

_ID_LETTERS: Final = ("DFGHJLMPQVW", "AEIOUXYZ")  # disjoint, so that nothing but an id looks like one


def stable_hash(text: str) -> int:
    """The same number on every machine and in every process (Python's own hash of a string is not)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def split_of(text: str) -> Split:
    """Which split owns a value: six in ten train, two tune, two are held out."""
    bucket = stable_hash(text) % 10
    return next(split for split in SPLITS if bucket in _SHARES[split])


@cache
def names(split: Split) -> tuple[str, ...]:
    """All names that a split may use."""
    heads, tails = (part.split() for part in NAME_PARTS)
    return tuple(h + t for h, t in itertools.product(heads, tails) if split_of(h + t) == split)


@cache
def ids(table: str, split: Split) -> tuple[str, ...]:
    """All ids of a table that a split may use."""
    every = (IDS[table] + "".join(letters) for letters in itertools.product(*_ID_LETTERS))
    return tuple(key for key in every if split_of(key) == split)
