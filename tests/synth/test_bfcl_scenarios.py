"""BFCL's classes as environments of synthesis: states of our own, and a card that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from funreason_train.environments.bfcl.documents import CLASSES, bfcl_folder
from funreason_train.environments.registry import environment_class
from funreason_train.synth.explore.learn import learn

FOLDER = bfcl_folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="bfcl-eval is not installed")


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_starts_from_a_drawn_state_in_which_most_of_its_functions_can_succeed(name: str) -> None:
    kind = environment_class(f"bfcl/{name}")
    assert kind.scenario(Random(3)) == kind.scenario(Random(3))
    environment = kind()
    graph = learn(environment, kind.scenario, "0", 12, 40)
    environment.close()
    assert sum(record.ok > 0 for record in graph.tools.values()) >= 0.6 * len(graph.tools)


def test_no_drawn_state_is_one_of_bfcls() -> None:
    assert FOLDER is not None
    theirs = {
        json.dumps(state, sort_keys=True)
        for line in (FOLDER / "BFCL_v4_multi_turn_base.json").open(encoding="utf-8")
        for state in json.loads(line)["initial_config"].values()
        if state
    }
    for name in CLASSES:
        for seed in range(50):
            drawn = environment_class(f"bfcl/{name}").scenario(Random(seed)).get(name)
            assert drawn is None or json.dumps(drawn, sort_keys=True) not in theirs


def test_conversations_in_them_are_accepted_and_the_card_says_so(synthesise: Callable[..., Path]) -> None:
    folder = synthesise(
        *("environments=[bfcl/TicketAPI,bfcl/GorillaFileSystem+MathAPI]", "trajectories=12", "processes=1"),
        *("heldout_tasks=0", "tuning_tasks=0", "graph.episodes=15", "graph.measure=0"),
    )
    rows = [json.loads(line) for line in (folder / "conversations.jsonl").open(encoding="utf-8")]
    assert {row["synth"]["environment"] for row in rows} == {
        "bfcl/TicketAPI",
        "bfcl/GorillaFileSystem+MathAPI",
    }
    assert "environments that BFCL scores" in (folder / "card.html").read_text()
