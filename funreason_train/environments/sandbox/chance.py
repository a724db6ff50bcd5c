"""What a class draws at random, and what it reads off the clock, follow from what it was asked.

Classes make ids with `uuid4`, `secrets` and `random`, and write down when something happened. Played twice,
such calls would give two answers: no conversation could be replayed, and no held-out task be scored.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

_BEGINNING: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_STEP: Final = 60.0  # seconds from one change to the next


@contextmanager
def decided(seed: str, changes: int) -> Iterator[None]:
    """Within it, chance and clock of this process follow from the arguments; after it they are as before.

    Decided are the modules `random` (new generators without a seed included), `secrets`, `os.urandom`, so
    `uuid.uuid4`, numpy's global generator where numpy has been imported, and the clock of `time` and
    `datetime`, which stands still. Not decided are `uuid.uuid1` and the order of a set.

    Args:
        seed: Of everything that is drawn.
        changes: How many calls before may have changed something: the clock is a minute further for each.
    """
    drawn = random.Random(seed)
    moment = _BEGINNING + timedelta(seconds=_STEP * changes + round(drawn.uniform(0, _STEP - 1), 3))
    whole, arrays, seeds, octets = (drawn.getrandbits(32) for _ in range(4))
    generators, source = random.Random(seeds), random.Random(octets)
    numpy, clock = _numpy(), clock_setter()  # before anything is decided, as imports may draw
    held, urandom, begin = random.getstate(), os.urandom, random.Random.seed
    held_arrays = numpy and numpy.random.get_state()

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        begin(self, generators.getrandbits(128) if a is None else a, version)

    try:
        random.seed(whole)
        if numpy:
            numpy.random.seed(arrays)
        random.Random.seed = seeded  # type: ignore[assignment,method-assign]
        os.urandom = random._urandom = source.randbytes  # type: ignore[attr-defined]
        with clock(moment):
            yield
    finally:
        random.Random.seed = begin  # type: ignore[method-assign]
        os.urandom = random._urandom = urandom  # type: ignore[attr-defined]
        random.setstate(held)
        if numpy:
            numpy.random.set_state(held_arrays)


def _numpy() -> Any:
    """numpy with its global generator, which is loaded by asking for it; None where nobody imported numpy."""
    numpy = sys.modules.get("numpy")
    return numpy if hasattr(numpy, "random") else None


@cache
def clock_setter() -> Callable[[datetime], AbstractContextManager[Any]]:
    """What sets the clock; imported when first asked for."""
    import time_machine

    return lambda moment: time_machine.travel(moment, tick=False)
