"""Phase I: the graph that is learnt, the directed sampler, arguments, and targets."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Literal

import pytest

from funreason_train.calls import Call
from funreason_train.environments import Result
from funreason_train.environments.domains.shop import Shop
from funreason_train.environments.tables import TableWorld
from funreason_train.environments.tools import ToolError, tool
from funreason_train.synth.explore.directions import Directions
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.measure import measure
from funreason_train.synth.explore.picture import draw
from funreason_train.synth.explore.sampler import Sampler


class Vault(TableWorld):
    """A world with every kind of edge: declared, state, value; and one that declares a circle."""

    name = "vault"
    tables = ("boxes", "notes", "door")

    @tool
    def find_box(self, owner: str) -> dict[str, Any]:
        """Look up the box of an owner."""
        return {"box": self.find("boxes", owner=owner)}

    @tool
    def switch_light(self, state: Literal["on", "off"]) -> dict[str, Any]:
        """Switch the light."""
        self.state["door"]["light"] = {"state": state}
        return {"light": state}

    @tool
    def open_door(self) -> dict[str, Any]:
        """Open the door."""
        self.state["door"]["lock"] = {"state": "open"}
        return {"door": "open"}

    @tool
    def put_note(self, box: str, text: str) -> dict[str, Any]:
        """Put a note into a box."""
        if self.state["door"].get("lock", {}).get("state") != "open":
            raise ToolError("the door is closed")
        self.record("boxes", box)
        return {"note": self.add("notes", {"box": box, "text": text})}

    @tool(requires=("put_note",))
    def read_note(self, note: str) -> dict[str, Any]:
        """Read a note."""
        return {"text": self.record("notes", note)["text"]}

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        keys = [f"B{random.randint(1000, 9999)}" for _ in range(size)]
        owners = random.sample(["Amelie", "Bruno", "Carla", "Dario", "Elena", "Fabio"], size)
        notes = [f"N{random.randint(1000, 9999)}" for _ in range(12)]
        return {
            "boxes": {key: {"owner": owner} for key, owner in zip(keys, owners, strict=True)},
            "fresh": {"notes": notes},
        }


@pytest.fixture(scope="module")
def vault() -> Graph:
    return learn(Vault(), Vault.scenario, "0", 40, 30)


def test_the_three_kinds_of_edges_are_learnt_and_nothing_else(vault: Graph) -> None:
    edges = vault.edges()
    assert edges[("put_note", "read_note")] == "declared"
    assert edges[("open_door", "put_note")] == "state"
    assert edges[("find_box", "put_note")] == "value"
    assert not any(one == "switch_light" or two in ("find_box", "open_door") for one, two in edges)


def test_a_graph_survives_json_and_merging_counts_twice(vault: Graph) -> None:
    text = json.dumps(vault.to_json())
    again = Graph.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    again.merge(vault)
    assert again.tools["find_box"].ok == 2 * vault.tools["find_box"].ok
    assert again.edges() == vault.edges()


def test_learning_is_the_same_again() -> None:
    one, two = (learn(Vault(), Vault.scenario, "7", 8, 20).to_json() for _ in range(2))
    assert one == two != learn(Vault(), Vault.scenario, "8", 8, 20).to_json()


def test_legality_and_distances_follow_the_prerequisites(vault: Graph) -> None:
    directions = Directions(vault)
    assert directions.distances("read_note") == {
        **{"read_note": 0, "put_note": 1, "open_door": 2, "find_box": 2},
    }
    assert not directions.is_legal("put_note", {"open_door"})
    assert directions.is_legal("put_note", {"open_door", "find_box"})
    assert not Directions(vault, by_value=False).is_legal("put_note", set())
    assert Directions(vault, by_value=False).is_legal("put_note", {"open_door"})


def documents(**requires: tuple[str, ...]) -> list[dict[str, Any]]:
    parameters = {"type": "object", "properties": {}, "required": []}
    return [
        {"name": name, "description": "", "parameters": parameters, "requires": list(needed)}
        for name, needed in requires.items()
    ]


def test_a_declared_circle_is_unreachable_and_learnt_ones_are_given_up() -> None:
    graph = Graph("x", documents(a=("b",), b=("a",), c=(), d=("c",), e=("nowhere",)))
    assert Directions(graph).unreachable == {"a", "b", "e"}
    assert Directions(graph).targets == ("c", "d")
    circle = Graph("x", documents(a=(), b=()))
    for one, two in (("a", "b"), ("b", "a")):
        circle.tools[one].enabled[two] = 3
        circle.tools[one].unaided = [0, 9]
    assert Directions(circle).unreachable == frozenset()


class Recorder:
    """An environment in which every call succeeds."""

    name = "recorder"

    def call(self, call: Call) -> Result:
        return Result("{}", True, {})

    def snapshot(self) -> Any:
        return {}


def sampler(graph: Graph, seed: int = 0) -> Sampler:
    return Sampler(Recorder(), graph, Directions(graph), Drawer(graph, {}), Random(seed))  # type: ignore[arg-type]


def test_the_sampler_is_the_papers() -> None:
    """The target if legal; else the nearest legal tool; after the target a random legal one."""
    graph = Graph("x", documents(far=(), near=("far",), target=("near",), other=(), deep=("target",)))
    for seed in range(20):
        found = sampler(graph, seed).turn("target")
        assert [one.call.name for one in found.trace] == ["far", "near", "target"]
        assert found.reached and found.calls == 3 and found.distance == 2
    after = {sampler(graph, seed).turn("target", 1).trace[-1].call.name for seed in range(40)}
    assert after == {"far", "near", "target", "other", "deep"}
    again = sampler(graph)
    again.turn("target")
    assert [one.call.name for one in again.turn("deep").trace] == ["deep"]


def test_a_target_that_fails_for_ever_ends_the_turn() -> None:
    class Broken(Recorder):
        def call(self, call: Call) -> Result:
            return Result("no", call.name != "target")

    graph = Graph("x", documents(target=(), other=()))
    one = Sampler(Broken(), graph, Directions(graph), Drawer(graph, {}), Random(0), most=30)  # type: ignore[arg-type]
    found = one.turn("target")
    assert not found.reached and found.calls_to_target == found.calls <= 30


def test_directed_sampling_beats_uniform_sampling() -> None:
    graph = learn(Shop(), Shop.scenario, "0", 30, 30)
    found = measure(Shop(), Shop.scenario, graph, "0", 60, 60)
    assert found["directed"]["reached"] >= 0.95
    assert found["directed"]["calls"] < found["uniform"]["calls"] / 2


def test_arguments_come_from_answers_state_and_schema_within_bounds() -> None:
    schema = {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 3, "maximum": 4},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "kind": {"enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            "place": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            "on": {"type": "boolean"},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "required": ["count", "share", "kind", "tags", "place", "on", "maybe"],
    }
    graph = Graph("x", [{"name": "f", "description": "", "parameters": schema}])
    from funreason_train.calls import check_call

    for seed in range(200):
        arguments, _ = Drawer(graph, {}).arguments("f", Random(seed))
        assert check_call(Call("f", arguments), [one.document for one in graph.tools.values()]) == []
        assert 3 <= arguments["count"] <= 4 and 0 <= arguments["share"] <= 1


def test_an_object_is_given_only_with_something_in_it_and_a_list_has_as_many_as_it_must() -> None:
    prices = {"type": "object", "properties": {"low": {"type": "number"}, "high": {"type": "number"}}}
    flags = {"type": "array", "items": {"enum": [7]}, "minItems": 2, "maxItems": 2}
    schema = {"type": "object", "properties": {"prices": prices, "flags": flags}, "required": ["flags"]}
    graph = Graph("box", [{"name": "f", "description": "", "parameters": schema}])
    drawn = [Drawer(graph, {}).arguments("f", Random(seed))[0] for seed in range(60)]
    assert all(one["flags"] == [7, 7] for one in drawn)
    assert any("prices" in one for one in drawn) and all(one.get("prices") != {} for one in drawn)


def test_the_picture_is_one_svg_in_which_names_are_escaped(vault: Graph) -> None:
    svg = str(draw(vault))
    assert svg.startswith("<svg") and svg.endswith("</svg>") and svg.count("<rect") == 5
    odd = Graph("<x>", documents(**{"<script>": ()}))
    assert "<script>" not in str(draw(odd))


def test_a_tool_that_is_left_out_is_in_no_picture(vault: Graph) -> None:
    graph = Graph.from_json(vault.to_json())
    one, two = sorted(graph.edges())[0]
    for name in (one, two):
        graph.avoided = {name}
        assert str(draw(graph)).count("<rect") == 4


@pytest.mark.parametrize("works_after", [None, 300])
def test_learning_ends_early_only_where_nothing_ever_succeeds(works_after: int | None) -> None:
    class Service(Vault):
        name = "service"
        made = 0

        def call(self, call: Call) -> Result:
            Service.made += 1
            if works_after is None or Service.made <= works_after:
                return Result("Error: the service cannot be reached", False)
            return super().call(call)

    graph = learn(Service(), lambda rng: Service.scenario(rng, 3), "early", 30, 40)
    assert any(record.ok for record in graph.tools.values()) is (works_after is not None)
    assert (Service.made >= 30 * 40) is (works_after is not None)
