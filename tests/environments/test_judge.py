"""The judge of an episode compares calls as the step reward does, and counts results as BFCL does."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from funreason_train.calls import Call, render_calls
from funreason_train.dialogue import render_target
from funreason_train.environments import Episode, Limits, TableWorld, Task, TaskTurn, registry, tool
from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.synth import bfcl_world

shipped = pytest.mark.skipif(bfcl_folder() is None, reason="bfcl-eval is not installed")

DESK = {
    "GorillaFileSystem": {
        "root": {
            "desk": {
                "type": "directory",
                "contents": {
                    "goal": {"type": "file", "content": "b a"},
                    "old": {"type": "directory", "contents": {}},
                },
            }
        }
    }
}


class Echo(TableWorld):
    """Answers with what it was given."""

    name = "echo"

    @tool
    def show(
        self,
        numbers: list[float],
        where: dict[str, float] | None = None,
        deep: bool = False,
        path: str = ".",
        count: int = 1,
    ) -> dict[str, Any]:
        """Show the arguments."""
        return {"numbers": numbers, "where": where, "deep": deep, "path": path, "count": count}


@pytest.fixture(autouse=True)
def _echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ENVIRONMENTS", {**registry.ENVIRONMENTS, "echo": Echo})


def task(environment: Any, config: Any, *turns: Any) -> Any:
    names = sorted({call.name for turn in turns for call in turn})
    made = tuple(TaskTurn("Do it.", tuple((call,) for call in turn), "Done.") for turn in turns)
    return Task("t", "own", environment, config, tuple(names) or ("ls",), made)


def played(task: Any, *turns: Any) -> Any:
    """Plays each turn's calls, one a response, and a closing reply."""
    episode = Episode(task, Limits(stop_when_wrong=False), "compact")
    for call in itertools.chain.from_iterable([*turn, None] for turn in turns):
        answer = "Done." if call is None else render_calls([call])
        episode.receive(render_target("I think.", answer))
    return episode.outcome()


def variants(call: Any, schema: Any, rng: Any) -> Iterator[Any]:
    """Spellings of a call that mean the same by its tool's schema."""
    properties, required = schema["properties"], schema.get("required", [])

    def other(value: Any, part: Any) -> Any:
        if isinstance(value, bool) or part is None:
            return value
        if isinstance(value, (int, float)) and part.get("type") == "number":
            return rng.choice([int, float])(value) if value == int(value) else value
        if isinstance(value, list):
            return [other(item, part.get("items")) for item in value]
        if isinstance(value, dict):
            inner = part.get("properties", {})
            pairs = [(k, other(v, inner.get(k, part.get("additionalProperties")))) for k, v in value.items()]
            return dict(rng.sample(pairs, len(pairs)))
        return value

    for _ in range(8):
        arguments = {name: other(value, properties[name]) for name, value in call.arguments.items()}
        for name, part in properties.items():
            if name in required or "default" not in part or part["default"] is None:
                continue
            if name in arguments and arguments[name] == part["default"] and rng.random() < 0.5:
                del arguments[name]
            elif name not in arguments and rng.random() < 0.5:
                arguments[name] = part["default"]
        yield Call(call.name, dict(rng.sample(list(arguments.items()), len(arguments))))


def spelt(call: Any) -> Any:
    return render_calls([call])


def test_every_spelling_of_a_call_that_its_schema_calls_equal_is_right() -> None:
    rng = random.Random(5)
    (document,) = Echo.tools()
    tried: set[str] = set()
    while len(tried) < 150:
        numbers = [rng.choice([1, 2.0, 3, 2.5]) for _ in range(rng.randrange(4))]
        where = rng.choice([None, {"x": 1, "y": 2.0}, {}])
        gold = Call(
            "show",
            {"numbers": numbers, "where": where, "path": rng.choice([".", "a"]), "count": rng.choice([1, 2])},
        )
        for variant in variants(gold, document["parameters"], rng):
            if spelt(variant) in tried:
                continue
            tried.add(spelt(variant))
            outcome = played(task("echo", {}, [gold]), [variant])
            assert outcome.right, (spelt(gold), spelt(variant), outcome.reasons)


@pytest.mark.parametrize(
    ("gold", "made"),
    [
        ({"numbers": [1, 2]}, {"numbers": [2, 1]}),
        ({"numbers": [1]}, {"numbers": [1.5]}),
        ({"numbers": []}, {"numbers": [], "deep": True}),
        ({"numbers": []}, {"numbers": [], "path": "./"}),
        ({"numbers": [], "where": {"x": 1}}, {"numbers": [], "where": {"x": 1, "y": 1}}),
        ({"numbers": [], "where": {}}, {"numbers": []}),
    ],
)
def test_what_means_something_else_is_wrong(gold: dict[str, Any], made: dict[str, Any]) -> None:
    outcome = played(task("echo", {}, [Call("show", gold)]), [Call("show", made)])
    assert not outcome.right
    assert outcome.reasons[0].startswith("turn 0: missing_result: never obtained: [show(")


@shipped
@pytest.mark.parametrize(
    ("gold", "made"),
    [
        (Call("find", {"path": ".", "name": "goal"}), Call("find", {"name": "goal"})),
        (Call("find", {"path": ".", "name": "goal"}), Call("find", {"name": "goal", "path": "."})),
        (Call("ls", {}), Call("ls", {"a": False})),
        (Call("ls", {"a": False}), Call("ls", {})),
        (Call("mean", {"numbers": [1, 2]}), Call("mean", {"numbers": [1.0, 2.0]})),
        (Call("mean", {"numbers": [1.0, 2]}), Call("mean", {"numbers": [1, 2]})),
    ],
)
def test_bfcls_functions_are_compared_by_their_schemas(gold: Any, made: Any) -> None:
    names = "bfcl/GorillaFileSystem+MathAPI"
    assert played(task(names, DESK, [gold]), [made]).right


@shipped
def test_variants_of_generated_tasks_in_bfcls_classes_are_right() -> None:
    rng = random.Random(3)
    tasks = list(bfcl_world.tasks("train", 12, 5, dict.fromkeys(bfcl_world.CATEGORIES, 1.0)))
    tried = 0
    for one in tasks:
        schemas = {document["name"]: document["parameters"] for document in one.tool_docs()}
        choices = [
            [[list(variants(call, schemas[call.name], rng)) for call in step] for step in turn.steps]
            for turn in one.turns
        ]
        for number in range(4):
            episode = Episode(one, Limits(), "compact")
            for turn in choices:
                for step in turn:
                    answer = render_calls(ways[number] for ways in step)
                    episode.receive(render_target("I think.", answer))
                    tried += len(step)
                episode.receive(render_target("I think.", "Done."))
            assert episode.outcome().right, episode.outcome().reasons
    assert tried >= 40


def test_a_result_of_an_earlier_turn_counts_in_a_turn_that_calls_something() -> None:
    look, other = Call("show", {"numbers": [1]}), Call("show", {"numbers": [2]})
    both = task("echo", {}, [look], [look, other])
    assert played(both, [look], [look, other]).right
    assert played(both, [look], [other]).right, "BFCL compares a turn's results with all so far"
    assert not played(both, [other], [look, other]).right, "but not with what is still to come"
    again = task("echo", {}, [look], [look])
    assert not played(again, [look], []).right, "BFCL wants some call where the gold calls something"
    assert played(again, [look], [other]).right


def test_a_result_counts_once_a_turn() -> None:
    look = Call("show", {"numbers": [1]})
    twice = task("echo", {}, [look, look])
    assert not played(twice, [look]).right
    assert played(twice, [look, look]).right


def test_an_equal_call_with_another_answer_is_not_the_gold_result() -> None:
    stock, more = Call("get_stock", {"item": "K1"}), Call("restock_item", {"item": "K1", "quantity": 1})
    config = {"items": {"K1": {"name": "Box", "price": 3, "stock": 4}}}
    one = task("shop", config, [stock, more])
    assert played(one, [stock, more]).right
    assert not played(one, [more, stock]).right, "it saw 5 pieces, and the user was told of 4"
