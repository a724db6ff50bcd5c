"""The values of the embedded tasks, and which of them each split may use.

Names are compounds (`Oak` + `ford`) and ids are a letter and two digits, so that a value which training never
shows is still made of parts that training does show. Which split owns a value is a property of the value alone.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache
from typing import Final, Literal

Split = Literal["train", "tuning", "heldout"]
SPLITS: Final[tuple[Split, ...]] = ("train", "tuning", "heldout")

_SHARES: Final = {"train": range(0, 6), "tuning": range(6, 8), "heldout": range(8, 10)}

_NAMES: Final = {
    "person": (
        "Al Ber Cor Dan El Fal Gor Hal Is Jor Kal Lan Mar Nor Os Per Ral Sol Tam Ur",
        "win tha mund bert dis rik vin gard na lo mina ster fred ka dora lind mo sette bo phie",
    ),
    "city": (
        "Oak Red Stone River Lake North Ash Elm Green High Iron Mill South Gold Deep Fox Swan Wolf Clear Moss",
        "ford haven ton bridge field wood mouth port dale burg gate mere hill stead cliff bury marsh view rock moor",
    ),
    "product": (
        "Lumo Vexa Zeno Tiva Quri Nexo Pyro Aero Hydra Velo Sono Tera Brio Ciro Dyna Ergo Fino Giga Juno Kyra",
        "lite max pad box jet lamp desk drum case mat pen cup bag fan kit cam pod tray cart bell",
    ),
}

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


def stable_hash(text: str) -> int:
    """The same number on every machine and in every process (Python's own hash of a string is not)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def split_of(text: str) -> Split:
    """Which split owns a value: six in ten train, two tune, two are held out."""
    bucket = stable_hash(text) % 10
    return next(split for split in SPLITS if bucket in _SHARES[split])


@cache
def names(kind: str, split: Split) -> tuple[str, ...]:
    """All names of a kind (`person`, `city`, `product`) that a split may use."""
    heads, tails = (part.split() for part in _NAMES[kind])
    return tuple(h + t for h, t in itertools.product(heads, tails) if split_of(h + t) == split)


@cache
def ids(table: str, split: Split) -> tuple[str, ...]:
    """All ids of a table that a split may use."""
    every = (f"{IDS[table]}{number}" for number in range(10, 100))
    return tuple(key for key in every if split_of(key) == split)
