"""Any Python class as an environment, named by its dotted path in the configuration and nowhere else."""

import asyncio
import datetime
import decimal
import enum
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest

from funreason_train.calls import Call
from funreason_train.environments import (
    Environment,
    configured_environment,
    load_environments,
    make_environment,
    registry,
)
from funreason_train.environments.objects import object_world
from funreason_train.errors import UserError


class Lift:
    """Knows nothing of this project."""

    def __init__(self, floors: int = 5) -> None:
        self.floor = 0
        self.floors = floors
        self.since = datetime.date(2026, 1, 2)
        self._visited = {0}
        self._lock = threading.Lock()

    def go(self, floor: int, speed: float = 1.0) -> dict[str, Any]:
        """Goes to a floor.

        Args:
            floor: Which one.
        """
        if not 0 <= floor < self.floors:
            raise ValueError(f"there is no floor {floor}")
        self.floor = floor
        self._visited.add(floor)
        return {"floor": floor, "speed": speed}

    def where(self) -> str:
        """Says where it is."""
        return f"on floor {self.floor}"

    def visited(self) -> list[int]:
        """Lists where it was."""
        return sorted(self._visited)


def lift(**config: Any) -> Any:
    made = object_world(Lift, "x:Lift")()
    made.reset(config)
    return made


def test_public_methods_are_tools_and_attributes_the_state() -> None:
    made = lift()
    assert [one["name"] for one in made.tools()] == ["go", "where", "visited"]
    assert made.tools()[0]["description"] == "Goes to a floor."
    assert made.tools()[0]["parameters"]["properties"]["floor"] == {
        "type": "integer",
        "description": "Which one.",
    }
    before = made.snapshot()
    assert before == {"floor": 0, "floors": 5, "since": "2026-01-02", "_visited": [0]}
    result = made.call(Call("go", {"floor": 3, "speed": 2}))
    assert result.ok and result.value == {"floor": 3, "speed": 2.0}
    assert made.call(Call("where")).text == "on floor 3"
    assert made.compare(before) == ["floor is 3, not 0", "_visited is [0, 3], not [0]"]
    made.reset({})
    assert made.compare(before) == []


def test_an_exception_is_a_failed_call() -> None:
    made = lift(floors=2)
    for call in (
        Call("go", {"floor": 2}),
        Call("go", {"floor": "1"}),
        Call("_lock"),
        Call("__init__"),
        Call("go"),
    ):
        result = made.call(call)
        assert not result.ok and "error" in result.value
    assert made.call(Call("go", {"floor": 2})).value == {"error": "there is no floor 2"}


def test_a_configuration_that_the_class_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="x:Lift cannot be made from this configuration"):
        lift(doors=2)


def test_a_state_that_cannot_be_compared_is_told() -> None:
    class Open:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def go(self) -> None:
            """Goes."""

    made = object_world(Open, "x:Open")()
    made.reset({})
    with pytest.raises(ValueError, match="/lock is a lock, which cannot be compared"):
        made.snapshot()
    assert made.compare({}) == ["/lock is a lock, which cannot be compared"]


def test_scenarios_are_the_classs_own_or_nothing_where_nothing_is_needed() -> None:
    assert object_world(Lift, "x:Lift").scenario(random.Random(1)) == {}

    class Tall(Lift):
        @staticmethod
        def scenario(random: Any, size: Any) -> dict[str, Any]:
            return {"floors": random.randint(size, 99)}

    kind = object_world(Tall, "x:Tall")
    assert kind.scenario(random.Random(1), 7) == kind.scenario(random.Random(1), 7)
    assert "scenario" not in [one["name"] for one in kind.tools()]

    class Asks:
        def __init__(self, key: str) -> None: ...
        def go(self) -> None: ...

    with pytest.raises(UserError, match="x:Asks makes no starting configurations"):
        object_world(Asks, "x:Asks").scenario(random.Random(1))


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_lift_module.py").write_text(
        "from funreason_train.environments import TableWorld, tool\n"
        "class Lift:\n    def go(self, floor: int) -> int:\n        'Goes.'\n        return floor\n"
        "class Bare: pass\n"
        "class Odd:\n    def go(self, lift: complex): 'Goes.'\n"
        "class Lamp(TableWorld):\n    name = 'own_lamp'\n    tables = ('lamps',)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "ENVIRONMENTS", dict(registry.ENVIRONMENTS))
    monkeypatch.setattr(registry, "_PATHS", {})


@pytest.mark.usefixtures("modules")
def test_only_the_configuration_makes_a_class_be_imported() -> None:
    with pytest.raises(UserError, match="own_lift_module:Lift is not loaded"):
        make_environment("own_lift_module:Lift")
    load_environments(["own_lift_module:Lift"])
    made = make_environment("own_lift_module:Lift")
    assert isinstance(made, Environment) and made.call(Call("go", {"floor": 2})).value == 2
    lamp = configured_environment("own_lift_module:Lamp")
    assert lamp.name == "own_lamp" and type(make_environment("own_lamp")) is lamp
    assert configured_environment("shop").name == "shop"


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("own_lift_module:Nothing", r"has no class Nothing\. It has .*Lift"),
        ("own_lift_module:lifts", r"has no class lifts\. Did you mean own_lift_module:Lift\?"),
        ("own_lift_module:tool", "has no class tool"),
        ("own_lift_module:", "has no class"),
        ("no_such_module:Lift", "no_such_module of environment_modules cannot be imported"),
        ("own_lift_module:Bare", "has no public method"),
        ("/x/own_lift_module.py:Lift", "Put /x on PYTHONPATH, and name own_lift_module:Lift"),
        ("own_lift_module:Odd", "its parameter lift: complex is not a type that JSON has"),
    ],
)
def test_a_path_that_leads_nowhere_is_the_users_mistake(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_environments([path])


class Plain:
    """Written as most classes are, for no project like this."""

    def __init__(self) -> None:
        self.seen = deque([b"\xff"])
        self.counts = np.zeros(2)

    def add(self, name, count=2, *rest, urgent=False, **more):  # type: ignore[no-untyped-def]
        self.counts[0] += count
        return [name, count, rest, urgent, more]

    async def wait(self, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        return "waited"

    def each(self):  # type: ignore[no-untyped-def]
        yield from ("a", "b")

    def for_ever(self):  # type: ignore[no-untyped-def]
        while True:
            yield 1

    def numbers(self) -> Any:
        return {"one": np.int64(3), "all": np.arange(2), "keys": {1: 2}.keys(), "raw": b"\x01"}

    def half(self) -> str:
        return "half a letter: \ud800"


def test_a_class_that_was_written_for_nobody_is_used_as_it_is() -> None:
    bare = object_world(Plain, "bare")()
    add = next(one["parameters"] for one in bare.tools() if one["name"] == "add")
    assert add["required"] == ["name"] and set(add["properties"]) == {"name", "count", "urgent"}
    assert add["properties"]["count"] == {"type": "integer", "default": 2}
    assert add["properties"]["urgent"] == {"type": "boolean", "default": False}
    assert bare.call(Call("add", {"name": "x"})).value == ["x", 2, [], False, {}]
    assert not bare.call(Call("add", {"name": "x", "count": "many"})).ok
    assert bare.call(Call("wait", {})).text == "waited"
    assert bare.call(Call("each", {})).value == ["a", "b"]
    assert "more than 10,000 values" in bare.call(Call("for_ever", {})).text
    assert bare.call(Call("numbers", {})).value == {"one": 3, "all": [0, 1], "keys": [1], "raw": "01"}
    assert not bare.call(Call("half", {})).ok
    assert bare.snapshot() == {"seen": ["ff"], "counts": [2.0, 0.0]}


def test_a_class_that_is_named_in_another_way_is_told_how() -> None:
    with pytest.raises(UserError, match=r"names a file.*Put /x on PYTHONPATH, and name cinema:Cinema"):
        configured_environment("/x/cinema.py:Cinema")
    with pytest.raises(
        UserError, match=r"there is no environment cinema\.Cinema; did you mean cinema:Cinema"
    ):
        configured_environment("cinema.Cinema")


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Level(enum.Enum):
    LOW = (0, 1)
    HIGH = (1, 2)


class Stop(pydantic.BaseModel):
    place: str
    minutes: int = 5


class Typed:
    """Annotations that JSON has no types for."""

    def send(self, size: Size = Size.SMALL, level: Level | None = None) -> str:
        return f"{size is Size.LARGE} {level is Level.HIGH}"

    def due(self, day: datetime.date, at: datetime.time | None = None) -> str:
        return f"{day.year + 1} {at and at.hour}"

    def pay(self, amount: decimal.Decimal, to: set[str], shares: tuple[int, str] = (1, "a")) -> str:
        return f"{amount + 1} {sorted(to)} {isinstance(to, set)} {shares}"

    def walk(self, names: Sequence[str], weights: Mapping[str, float], stop: Stop | None = None) -> str:
        return f"{names[0]} {weights} {stop and stop.minutes}"


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (Call("send", {"size": "large", "level": "HIGH"}), "True True"),
        (Call("send", {}), "False False"),
        (Call("due", {"day": "2026-05-01", "at": "12:30"}), "2027 12"),
        (Call("pay", {"amount": 1.1, "to": ["b", "a"]}), "2.1 ['a', 'b'] True (1, 'a')"),
        (Call("pay", {"amount": 1, "to": [], "shares": [2, "x"]}), "2 [] True (2, 'x')"),
        (Call("walk", {"names": ["x"], "weights": {"k": 1}, "stop": {"place": "A"}}), "x {'k': 1.0} 5"),
    ],
)
def test_parameters_are_what_their_annotations_say(call: Call, answer: str) -> None:
    world = object_world(Typed, "typed")()
    world.reset({})
    assert world.call(call).text == answer


@pytest.mark.parametrize(
    "call",
    [Call("send", {"size": "huge"}), Call("due", {"day": "tomorrow"}), Call("walk", {"names": ["x"]})],
)
def test_an_argument_that_is_no_such_value_is_a_failed_call(call: Call) -> None:
    world = object_world(Typed, "typed")()
    world.reset({})
    assert not world.call(call).ok


def test_documents_tell_what_stands_for_such_types() -> None:
    send, due, pay, walk = (one["parameters"]["properties"] for one in object_world(Typed, "typed").tools())
    assert send["size"] == {"type": "string", "enum": ["small", "large"], "default": "small"}
    assert send["level"]["enum"] == ["LOW", "HIGH", None]
    assert due["day"] == {"type": "string", "format": "date"}
    assert pay["amount"] == {"type": "number"} and pay["to"]["items"] == {"type": "string"}
    assert (pay["shares"]["minItems"], pay["shares"]["maxItems"]) == (2, 2)
    assert pay["shares"]["default"] == [1, "a"]
    assert walk["stop"]["properties"].keys() == {"place", "minutes"}


class Connected:
    """Keeps something that belongs to its event loop, as a connection does."""

    def __init__(self) -> None:
        self._lock: Any = None

    async def connect(self) -> None:
        self._lock = asyncio.Lock()
        await self._lock.acquire()
        asyncio.get_running_loop().call_later(0.01, self._lock.release)

    async def ask(self) -> str:
        await asyncio.wait_for(self._lock.acquire(), 2)
        return "answered"

    async def count(self) -> AsyncIterator[int]:
        for number in range(3):
            yield number


def test_asynchronous_methods_of_an_object_share_their_event_loop() -> None:
    world = object_world(Connected, "connected")()
    world.reset({})
    assert world.call(Call("connect", {})).ok
    assert world.call(Call("ask", {})).text == "answered"
    assert world.call(Call("count", {})).value == [0, 1, 2]
    world.close()
