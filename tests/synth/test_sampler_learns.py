"""What the sampler learns from errors, in a small world that has one of each kind."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments import Environment, Result
from funreason_train.environments.tables import TableWorld
from funreason_train.environments.tools import ToolError, tool
from funreason_train.synth.explore.directions import Directions
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.draw.attempts import Attempts
from funreason_train.synth.explore.evidence import named_in_error, named_tools, without_values
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.sampler import Sampler
from funreason_train.synth.explore.trace import Executed, Source


class Garage(TableWorld):
    """An engine that starts only after the right calls with the right arguments, and a bill to pay."""

    name = "garage"
    tables = ("cars", "bills", "parts")

    @tool
    def lock_doors(self, locked: bool, which: list[str]) -> dict[str, Any]:
        """Lock doors or open them.

        Args:
            locked: Whether they are to be locked.
            which: The doors. One of: left, right, back.
        """
        doors = self.state["parts"]["doors"]
        for one in which:
            if one not in doors:
                raise ToolError(f"there is no door {one}")
            doors[one] = locked
        return {"locked": sum(doors.values())}

    @tool
    def press_brake(self, force: float) -> dict[str, Any]:
        """Press the brake.

        Args:
            force: From 0 to 1.
        """
        if not 0 <= force <= 1:
            raise ToolError("the force is from 0 to 1")
        self.state["parts"]["brake"] = {"force": force}
        return {"pressed": True}

    @tool
    def start_engine(self) -> dict[str, Any]:
        """Start the engine."""
        parts = self.state["parts"]
        if opened := [name for name, locked in parts["doors"].items() if not locked]:
            raise ToolError(f"all doors must be locked first. These are open: {', '.join(opened)}")
        if parts["brake"]["force"] != 1:
            raise ToolError("press the brake as far as it goes")
        return {"running": True}

    @tool
    def write_bill(self, car: str) -> dict[str, Any]:
        """Write the bill of a car."""
        worth = self.record("cars", car)["worth"]
        return {"bill": self.add("bills", {"car": car, "sum": worth}), "sum": worth}

    @tool
    def pay_bill(self, bill: str, amount: float) -> dict[str, Any]:
        """Pay a bill."""
        due = self.record("bills", bill)["sum"]
        if amount != due:
            raise ToolError(f"{due} is due")
        return {"paid": True}

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        cars = {
            f"C{random.randint(1000, 9999)}": {"worth": random.randint(1000, 9999) / 4} for _ in range(size)
        }
        doors = dict.fromkeys(("left", "right", "back"), False)
        return {
            "cars": cars,
            "parts": {"doors": doors, "brake": {"force": 0.0}},
            "fresh": {"bills": [f"B{random.randint(1000, 9999)}" for _ in range(60)]},
        }


@pytest.fixture(scope="module")
def garage() -> Graph:
    return learn(Garage(), Garage.scenario, "0", 80, 40)


@pytest.mark.parametrize("target", ["start_engine", "pay_bill"])
def test_calls_are_repeated_as_they_helped_before(garage: Graph, target: str) -> None:
    reached = calls = 0
    for number in range(25):
        rng = Random(f"{target}/{number}")
        config, environment = Garage.scenario(rng), Garage()
        environment.reset(config)
        sampler = Sampler(environment, garage, Directions(garage), Drawer(garage, config), rng, most=30)
        sampled = sampler.turn(target)
        reached += sampled.reached
        calls += sampled.calls_to_target
    assert reached >= 24 and calls / 25 < 12


def test_what_failed_in_a_state_is_not_tried_again_in_it() -> None:
    attempts = Attempts()
    call = Call("f", {"id": "C17", "day": "2026-01-02"})
    attempts.failed(Executed(call, Result('{"error": "C17 is sold; D9 is not"}', False), False))
    assert attempts.has_failed("f", {"id": "C17", "day": "2026-05-05"}) and attempts.is_bad("f", "id", "C17")
    assert not attempts.has_failed("f", {"id": "D9", "day": "2026-01-02"})
    assert attempts.asks_for("D9") and not attempts.asks_for("C17")
    attempts.changed()
    assert not attempts.has_failed("f", call.arguments)


def test_numbers_that_failed_are_known_until_the_state_changes() -> None:
    attempts = Attempts()
    executed = Executed(
        Call("fill", {"litres": 30}),
        Result('{"error": "too much"}', False),
        False,
        {"litres": Source("made")},
    )
    attempts.failed(executed)
    assert attempts.number("fill", "litres") == 30
    attempts.changed()
    assert attempts.number("fill", "litres") is None


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        ("Invalid access token", {"access_token"}),
        ("Card not registered", {"card_id"}),
        ("V17 is taken", {"seat"}),
        ("not now", set()),
    ],
)
def test_an_error_blames_what_it_quotes_or_names(error: str, blamed: set[str]) -> None:
    call = Call("book", {"access_token": "abcdef", "card_id": "card_9", "seat": "V17"})
    assert named_in_error(Executed(call, Result(error, False), False)) == blamed


def test_an_error_may_speak_of_a_tool() -> None:
    tools = ["pressBrakePedal", "lockDoors", "get_time"]
    assert named_tools("Must press the brake fully before starting", tools) == ["pressBrakePedal"]
    assert named_tools("All doors must be locked", tools) == ["lockDoors"]
    assert named_tools("no", tools) == []


def test_lists_at_the_end_of_messages_are_one_obstacle() -> None:
    one, two = (without_values(f'{{"error": "open doors: {end}"}}', {}) for end in ("left, right", "back"))
    assert one == two


def test_a_failure_without_a_word_is_no_success() -> None:
    """A search that answers with an empty text has failed; `""` stands for success in what is learnt."""
    graph = Graph("x", [{"name": name, "description": "", "parameters": {}} for name in ("find", "add")])
    call, nothing = Call("find", {"text": "milk"}), Result("", False)
    assert graph.remedies("find", call, nothing.text) == {}
    enabler = Executed(Call("add", {}), Result("added", True), True)
    graph.learn_enabling(enabler, call, nothing, Result("milk", True))
    assert list(graph.remedies("find", call, nothing.text)) == ["add"]


class Moody(Environment):
    """Does not answer its fifth call."""

    name = "moody"
    calls = 0

    def reset(self, config: Any) -> None:
        self.fault = None

    def tools(self) -> list[dict[str, Any]]:
        return [{"name": "ask", "description": "Ask.", "parameters": {"type": "object", "properties": {}}}]

    def call(self, call: Call) -> Result:
        self.calls += 1
        if self.calls == 5:
            self.fault = "it does not answer"
        return Result("{}", self.fault is None, {})

    def snapshot(self) -> Any:
        return {}


def test_a_tool_that_works_is_not_given_up_for_one_call_that_hangs() -> None:
    world = Moody()
    graph = learn(world, lambda _: {}, "seed", 3, 4)
    assert not graph.avoided and world.calls > 8
