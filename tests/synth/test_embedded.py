"""The embedded generator: its promises about splits, execution and the teacher."""

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from funreason_train.calls import Call, check_call
from funreason_train.dialogue import steps_of
from funreason_train.environments import make_environment, play_gold
from funreason_train.errors import UserError
from funreason_train.synth.embedded import generate as embedded
from funreason_train.synth.embedded.phrases import TOOLS
from funreason_train.synth.embedded.plans import (
    CATEGORIES,
    WORLDS,
    needed_split,
    offered_split,
    plans_of,
    tool_names,
)
from funreason_train.synth.embedded.teacher import ERRORS
from funreason_train.synth.embedded.words import NAME_PARTS, SPLITS, split_of

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs/synth.yaml").read_text())["embedded"]
TASKS = {split: list(embedded.tasks(split, 300, 3, CONFIG["categories"])) for split in SPLITS}
TRAJECTORIES = list(embedded.read({**CONFIG, "trajectories": 200}, 3))


def needed(task: Any) -> Any:
    return frozenset(call.name for turn in task.turns for step in turn.steps for call in step)


def values(task: Any) -> Any:
    """Every name and id that the task's text, calls or state hold."""
    text = json.dumps(task.to_json())
    fixed = json.dumps(task.tool_docs())
    found = set(re.findall(r"\b[CTKRSNB][A-Z]{2}\b", text))
    words = set(re.findall(r"\b[A-Z][a-z]{4,}\b", text)) - set(re.findall(r"[A-Z][a-z]+", fixed))
    return found, words & POOL


POOL = set(map("".join, itertools.product(*(part.split() for part in NAME_PARTS))))


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(SPLITS, 2)))
def test_splits_share_no_tool_combination_and_no_value(one: Any, other: Any) -> None:
    mine, theirs = TASKS[one], TASKS[other]
    assert not {frozenset(task.tools) for task in mine} & {frozenset(task.tools) for task in theirs}
    several = [{needed(task) for task in tasks if len(needed(task)) > 1} for tasks in (mine, theirs)]
    assert several[0] and several[1] and not several[0] & several[1]
    ids, names = zip(*map(values, mine), strict=True)
    other_ids, other_names = zip(*map(values, theirs), strict=True)
    assert ids[0] and not set().union(*ids) & set().union(*other_ids)
    assert set().union(*names) and not set().union(*names) & set().union(*other_names)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_every_kind_of_task_in_several_environments(split: Any) -> None:
    for category in CATEGORIES[:-1]:
        environments = {environment for environment, _ in plans_of(split, category)}
        assert len(environments) >= 2, category


def test_a_set_of_tools_belongs_to_one_split_in_any_order() -> None:
    tools = tool_names("shop")
    assert needed_split(tools[:1]) is None
    assert needed_split(tools[:3]) == needed_split(tools[2::-1])
    assert offered_split(tools[:4]) == offered_split(tools[3::-1])


def test_every_tool_is_trained_and_asked_for_in_several_ways() -> None:
    assert set(TOOLS) == {name for environment in WORLDS for name in tool_names(environment)}
    assert all(len(phrases.full) >= 2 for phrases in TOOLS.values())
    assert {name for task in TASKS["train"] for name in needed(task)} == set(TOOLS)


@pytest.mark.parametrize("split", SPLITS)
def test_every_gold_call_is_legal_and_answered_without_error(split: Any) -> None:
    for task in TASKS[split]:
        documents = task.tool_docs()
        for turn in task.turns:
            for call in itertools.chain(*turn.steps):
                assert check_call(call, documents) == []
        for gold in play_gold(task):
            assert all(result.ok for result in gold.seen())


@pytest.mark.parametrize("split", SPLITS)
def test_every_category_is_there_as_often_as_asked(split: Any) -> None:
    shares = Counter(task.category for task in TASKS[split])
    for category, weight in CONFIG["categories"].items():
        assert shares[category] / len(TASKS[split]) == pytest.approx(weight, abs=0.08)
    assert set(CONFIG["categories"]) == set(CATEGORIES)


def test_a_chain_cannot_be_solved_without_the_looked_up_value() -> None:
    chains = [task for task in TASKS["heldout"] if task.category == "chain"]
    assert chains
    for task in chains:
        (turn,) = task.turns
        results = play_gold(task)[0].results
        for position, step in enumerate(turn.steps[1:], start=1):
            found = json.loads(results[position - 1][0].text)
            (key,) = set(found.values()) & set(step[0].arguments.values())
            assert key not in turn.user


def test_an_asked_for_value_comes_with_the_next_turn() -> None:
    for task in TASKS["heldout"]:
        if task.category == "missing":
            asking, giving = task.turns
            assert asking.steps == () and asking.text
            (call,) = giving.steps[0]
            assert any(str(value) in giving.user for value in call.arguments.values())


def test_no_tool_tasks_offer_nothing_that_fits() -> None:
    for task in TASKS["heldout"]:
        if task.category == "no_tool":
            assert task.turns[0].steps == () and needed(task) == frozenset()


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data() -> None:
    again = list(embedded.read({**CONFIG, "trajectories": 40}, 3))
    assert again == TRAJECTORIES[:40], "and item i does not depend on how many there are"
    assert list(embedded.read({**CONFIG, "trajectories": 40}, 4)) != again
    assert list(embedded.tasks("tuning", 20, 3, CONFIG["categories"])) == TASKS["tuning"][:20]


def test_gold_steps_hold_the_results_of_their_calls() -> None:
    for trajectory, task in zip(
        TRAJECTORIES, embedded.tasks("train", 200, 3, CONFIG["categories"]), strict=True
    ):
        environment = make_environment(trajectory.meta["environment"])
        assert [tool["name"] for tool in trajectory.tools] == list(task.tools), (
            "demonstrations do not change what is drawn"
        )
        environment.reset(task.config)
        for turn in trajectory.turns:
            for step in turn.steps:
                assert tuple(environment.call(call).text for call in step.calls) == step.results
                assert bool(step.calls) != bool(step.text)
                assert step.thought


def test_the_teacher_errs_at_the_stated_rates_and_only_there() -> None:
    kinds: Counter[str] = Counter()
    slips: Counter[str] = Counter()
    for example in embedded.examples("train", 1500, 3, CONFIG["categories"], CONFIG["errors"]):
        assert set(example.kinds) >= set(example.slips)
        kinds.update(example.kinds.values())
        slips.update(example.kinds[key] for key in example.slips)
    for kind, error in ERRORS.items():
        assert slips[kind] / kinds[kind] == pytest.approx(CONFIG["errors"].get(error, 0), abs=0.12)
    assert set(slips) <= set(ERRORS)


def test_kinds_name_every_response() -> None:
    for trajectory in TRAJECTORIES:
        assert set(trajectory.meta["kinds"]) == {step.id.split("/")[1] for step in steps_of(trajectory)}


def test_an_erroneous_demonstration_is_legal_and_differs_from_gold() -> None:
    for trajectory in TRAJECTORIES:
        for key, shown in trajectory.meta["demonstration"].items():
            turn, response = map(int, key.split("."))
            calls = tuple(map(Call.from_json, shown["calls"]))
            assert calls and calls != trajectory.turns[turn].steps[response].calls
            for call in calls:
                assert check_call(call, trajectory.tools) == []


def test_a_teacher_without_errors_shows_gold() -> None:
    perfect = embedded.read({**CONFIG, "trajectories": 50, "errors": {}}, 3)
    assert not any(trajectory.meta["demonstration"] for trajectory in perfect)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"categories": {"singel": 1}}, "singel"),
        ({"errors": {"drop_call": 0.5}}, "drop_second_call"),
        ({"errors": {"guess_value": 1.5}}, "probability"),
    ],
)
def test_a_mistake_in_the_config_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(embedded.read({**CONFIG, "trajectories": 1, **change}, 0))


def test_values_belong_to_splits_in_stated_shares() -> None:
    shares = Counter(split_of(f"C{number}{number}") for number in range(2000))
    assert shares["train"] / 2000 == pytest.approx(0.6, abs=0.05)
