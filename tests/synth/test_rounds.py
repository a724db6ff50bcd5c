"""The graph goes on learning while samples are made: in rounds, the same for any workers."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from funreason_train.calls import Call
from funreason_train.environments.tables import TableWorld
from funreason_train.environments.tools import ToolError, tool
from funreason_train.settings.compose import compose
from funreason_train.synth.explore.directions import Directions
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.sampler import Sampler
from funreason_train.synth.explore.seen import Seen, add, changes
from funreason_train.synth.explore.trace import Executed
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.rounds import rounds
from funreason_train.synth.work.workers import in_processes


class Safe(TableWorld):
    """A state pre-condition that no document tells, and a value that only an answer holds."""

    name = "safe"
    tables = ("boxes", "door")

    @tool
    def find_box(self, owner: str) -> dict[str, Any]:
        """Look up the box of an owner."""
        return {"box": self.find("boxes", owner=owner)}

    @tool
    def open_door(self) -> dict[str, Any]:
        """Open the door."""
        self.state["door"]["lock"] = {"state": "open"}
        return {"door": "open"}

    @tool
    def empty_box(self, box: str) -> dict[str, Any]:
        """Take everything out of a box."""
        if self.state["door"].get("lock", {}).get("state") != "open":
            raise ToolError("not now")
        self.record("boxes", box)["empty"] = True
        return {"box": box, "empty": True}

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        keys = [f"B{random.randint(1000, 9999)}" for _ in range(size)]
        owners = random.sample(["Amelie", "Bruno", "Carla", "Dario", "Elena", "Fabio"], size)
        return {"boxes": {key: {"owner": owner} for key, owner in zip(keys, owners, strict=True)}}


def unlearnt() -> Graph:
    return Graph("safe", Safe().tools())


def experience(known: Graph, conversations: int) -> list[dict[str, Any]]:
    """What so many conversations show that are sampled with a graph."""
    found = []
    for number in range(conversations):
        rng = Random(number)
        config = Safe.scenario(rng)
        world = Safe()
        world.reset(config)
        seen = Seen(known)
        sampler = Sampler(
            world, known, Directions(known), Drawer(known, config, learning=True), rng, most=8, seen=seen
        )
        for target in rng.sample(sorted(known.tools), 3):
            sampler.turn(target, 1)
        sampler.look_back()
        found.append(json.loads(json.dumps(seen.to_json())))
    return found


def test_sampling_alone_learns_the_value_flow_and_the_state_that_is_needed() -> None:
    known = unlearnt()
    before = json.dumps(known.to_json())
    shown = experience(known, 60)
    assert json.dumps(known.to_json()) == before, "the graph of a round stands still"
    grown = Graph.from_json(known.to_json())
    add(grown, shown)
    assert grown.edges() == {("open_door", "empty_box"): "state", ("find_box", "empty_box"): "value"}
    told = changes(known, grown)
    assert told["edges_added"] == [
        ["find_box", "empty_box", "value"],
        ["open_door", "empty_box", "state"],
    ]
    assert not told["edges_removed"] and told["calls"] > 200
    call, error = Call("empty_box", {"box": "B1234"}), '{"error": "not now"}'
    assert list(grown.remedies("empty_box", call, error)) == ["open_door"]


def test_what_sampling_shows_is_what_learning_would_have_seen() -> None:
    """The same calls counted beside a graph, and counted in it."""
    known = learn(Safe(), Safe.scenario, "0", 10, 20)
    rng, config = Random(3), Safe.scenario(Random(3))
    direct, seen = Graph.from_json(known.to_json()), Seen(known)
    world = Safe()
    history: list[Executed] = []
    world.reset(config)
    sampler = Sampler(world, known, Directions(known), Drawer(known, config), rng, seen=seen)
    for _ in range(30):
        name = rng.choice(sorted(known.tools))
        arguments, sources = sampler.drawer.arguments(name, rng)
        executed = sampler.execute(Call(name, arguments), sources)
        direct.observe(executed, history)
        history += [executed] if executed.result.ok else []
    beside = Graph.from_json(known.to_json())
    add(beside, [seen.to_json()])
    assert beside.to_json() == direct.to_json()


@given(st.lists(st.integers(0, 11), unique=True, max_size=12))
def test_counts_do_not_depend_on_which_conversation_came_first(order: list[int]) -> None:
    known, shown = unlearnt(), EXPERIENCE
    one, two = (Graph.from_json(known.to_json()) for _ in range(2))
    add(one, [shown[number] for number in order])
    add(two, [shown[number] for number in sorted(order)])
    assert one.edges() == two.edges() and one.flows == two.flows
    assert {n: (r.ok, r.failed, r.enabled) for n, r in one.tools.items()} == {
        n: (r.ok, r.failed, r.enabled) for n, r in two.tools.items()
    }


EXPERIENCE = experience(unlearnt(), 12)


@given(st.one_of(st.none(), st.integers(1, 50)), st.integers(1, 2000))
def test_rounds_hold_every_sample_once_and_grow(first: int | None, limit: int) -> None:
    found = list(rounds(first, limit))
    assert [number for one in found for number in one] == list(range(limit))
    sizes = [len(one) for one in found]
    assert all(two <= 2 * one for one, two in pairwise(sizes))
    assert first is not None or len(found) == 1


SMALL = (
    *("environments=[shop,helpdesk]", "trajectories=60", "heldout_tasks=4", "tuning_tasks=0"),
    *("graph.episodes=4", "graph.calls=12", "graph.measure=0", "graph.round=20"),
)
NAMES = ("conversations.jsonl", "graph.json", "funnel.json", "card.html", "tasks/heldout.jsonl")


def phases(out: Path, *words: str) -> Phases:
    settings: Any = OmegaConf.to_container(compose("synth", [*SMALL, *words]).synth, resolve=True)
    return Phases(settings, 0, out, partial(in_processes, processes=settings["processes"] or 1))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    phases(folder).run()
    return folder


def test_a_later_round_is_sampled_with_what_the_earlier_ones_have_shown(whole: Path, tmp_path: Path) -> None:
    graph = json.loads((whole / "graph.json").read_text())["environments"]
    assert all(one["while_sampling"]["calls"] > 50 for one in graph.values())
    assert any(one["while_sampling"]["edges_added"] for one in graph.values())
    assert "learnt while sampling" in (whole / "card.html").read_text()
    phases(tmp_path, "graph.round=null").run()
    frozen, grown = ((one / "conversations.jsonl").read_text().splitlines() for one in (tmp_path, whole))
    first = min(number for number, pair in enumerate(zip(frozen, grown, strict=True)) if pair[0] != pair[1])
    assert first > 10, "the first round is sampled with the same graph"


def test_the_result_is_the_same_for_any_number_of_processes(whole: Path, tmp_path: Path) -> None:
    phases(tmp_path, "processes=2").run()
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_that_is_ended_at_any_chunk_goes_on_to_the_same_result(whole: Path, tmp_path: Path) -> None:
    class Ended(Exception):
        pass

    def run(chunks_until_the_end: int) -> None:
        whole_run = phases(tmp_path)
        spread, left = whole_run.spread, [chunks_until_the_end]

        def breaks_off(job: Any, chunks: Any) -> Any:
            for made in spread(job, chunks):
                left[0] -= 1
                if left[0] < 0:
                    raise Ended
                yield made

        whole_run.spread = breaks_off
        whole_run.run()

    for _ in range(5):
        with pytest.raises(Ended):
            run(1)
    run(1000)
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def test_what_measures_does_not_depend_on_how_much_is_made_to_train_on(whole: Path, tmp_path: Path) -> None:
    phases(tmp_path, "trajectories=20").run()
    few, many = (set((one / "tasks/heldout.jsonl").read_text().splitlines()) for one in (tmp_path, whole))
    assert few & many


def test_of_a_small_wish_little_is_made_in_vain(tmp_path: Path) -> None:
    made: list[int] = []

    def two_workers(job: Any, chunks: Any) -> Any:
        ahead: list[Any] = []
        for chunk in chunks:
            ahead.append(chunk)
            if len(ahead) == 4:
                yield from in_processes(job, [ahead.pop(0)], 1)
            made.extend(chunk)
        for chunk in ahead:
            yield from in_processes(job, [chunk], 1)

    few = phases(tmp_path, "trajectories=10", "heldout_tasks=0", "kinds={plain: 1.0}")
    few.spread = two_workers
    few.run()
    needed = json.loads((tmp_path / "funnel.json").read_text())["samples"]
    assert 10 <= needed <= len(made) <= needed + 4
