"""A class that draws ids and reads the clock answers the same calls in the same way."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
import uuid
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from funreason_train.calls import Call
from funreason_train.environments.objects import object_world
from funreason_train.environments.sandbox.chance import decided


class Desk:
    """A help desk as people write one."""

    def __init__(self, city: str = "Lund") -> None:
        self.name, self.own = f"{city}-{uuid.uuid4()}", random.Random()
        self.opened = datetime.now()
        self.tickets: dict[str, dict[str, Any]] = {}

    def open_ticket(self, subject: str) -> dict[str, Any]:
        """Opens a ticket."""
        key = f"T{int(time.time() * 1000)}-{secrets.token_hex(3)}"
        due = (date.today() + timedelta(days=self.own.randint(2, 9))).isoformat()
        self.tickets[key] = {"subject": subject, "at": datetime.now().isoformat(), "due": due}
        return {"ticket": key, **self.tickets[key]}

    def find_tickets(self, subject: str) -> list[str]:
        """Finds the tickets with a subject."""
        return [key for key, one in self.tickets.items() if one["subject"] == subject]

    def draw_lots(self, among: int) -> dict[str, Any]:
        """Draws lots."""
        return {"lot": random.randrange(among), "other": int(np.random.default_rng().integers(1 << 40))}

    def shuffle(self) -> list[int]:
        """Shuffles."""
        return [int(one) for one in np.random.permutation(20)]

    async def wait(self) -> str:
        """Waits."""
        await asyncio.sleep(0)
        return str(uuid.uuid4())

    def close_ticket(self, ticket: str) -> dict[str, Any]:
        """Closes a ticket."""
        del self.tickets[ticket]
        return {"closed": ticket, "reference": uuid.uuid4().hex[:8]}


ASKED = (
    *(Call("open_ticket", {"subject": "lamp"}), Call("open_ticket", {"subject": "lamp"})),
    *(Call("open_ticket", {"subject": "door"}), Call("draw_lots", {"among": 10**9})),
    *(Call("shuffle", {}), Call("wait", {}), Call("wait", {})),
)


def played(*calls: Call, **config: Any) -> tuple[list[str], Any]:
    world = object_world(Desk, "desk:Desk")()
    world.reset(config)
    return [world.call(one).text for one in calls], world.snapshot()


def test_the_same_calls_are_answered_in_the_same_way() -> None:
    first = played(*ASKED)
    random.seed(time.time_ns())
    np.random.seed(int(time.time()))
    assert played(*ASKED) == first
    assert len(set(first[0])) == len(ASKED), "and each in a way of its own"


def test_another_configuration_has_other_ids() -> None:
    assert played(ASKED[0], city="Ystad")[0] != played(ASKED[0], city="Lund")[0]


def test_what_failed_or_only_looked_something_up_changes_no_later_answer() -> None:
    failing, looking = Call("close_ticket", {"ticket": "T0"}), Call("find_tickets", {"subject": "lamp"})
    assert played(failing, looking, ASKED[0], failing, looking, ASKED[1])[1] == played(*ASKED[:2])[1]


def test_time_goes_on_from_change_to_change() -> None:
    world = object_world(Desk, "desk:Desk")()
    world.reset({})
    opened = [datetime.fromisoformat(world.snapshot()["opened"])]
    opened += [datetime.fromisoformat(world.call(ASKED[0]).value["at"]) for _ in range(20)]
    assert opened == sorted(opened) and len(set(opened)) == 21
    assert opened[-1] - opened[0] < timedelta(hours=1)


class Stocked(Desk):
    """A desk that begins with a name and a drawer."""

    @staticmethod
    def scenario(rng: random.Random, size: int) -> dict[str, Any]:
        return {"city": f"{rng.choice('ABC')}-{uuid.uuid4()}-{datetime.now().isoformat()}"}


def test_the_same_seed_draws_the_same_configuration() -> None:
    kind = object_world(Stocked, "desk:Stocked")
    one, again, other = (kind.scenario(random.Random(seed)) for seed in (1, 1, 2))
    assert one == again != other
    rng, same = random.Random(3), random.Random(3)
    kind.scenario(rng), same.choice("ABC")
    assert rng.random() == same.random(), "nothing else is drawn from the generator"


@pytest.mark.parametrize("ends", ["well", "with an error"])
def test_chance_and_clock_are_as_before_afterwards(ends: str) -> None:
    random.seed(7)
    np.random.seed(7)
    begun, before = time.time(), (random.getstate(), str(np.random.get_state()))
    try:
        with decided("any", 3):
            assert time.time() < begun - 3600 or time.time() > begun + 3600
            random.random(), np.random.rand(), random.Random().random()
            if ends == "with an error":
                raise ValueError("of a tool")
    except ValueError:
        pass
    assert (random.getstate(), str(np.random.get_state())) == before
    assert begun <= time.time() < begun + 600
    assert uuid.uuid4() != uuid.uuid4() and secrets.token_hex() != secrets.token_hex()
    assert random.Random().random() != random.Random().random()
