"""An environment that fails itself is told from a call that was wrong, wherever it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from environments.breaking import PLACES, install

from funreason_train.calls import Call, render_calls
from funreason_train.dialogue import render_target
from funreason_train.environments import EnvironmentFailed, Episode, Result, Task, play_gold
from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.environments.bfcl.environment import environment_kind
from funreason_train.environments.objects import object_world
from funreason_train.environments.sandbox.session import GONE
from funreason_train.synth.embedded.generate import tasks
from funreason_train.synth.embedded.plans import CATEGORIES

SHOP = next(
    task
    for task in tasks("train", 140, 7, dict.fromkeys(CATEGORIES, 1.0))
    if task.environment == "shop" and task.turns[0].steps
)
TASK = replace(SHOP, environment="breaking")


def played(task: Task) -> Episode:
    """The gold answers, as far as the episode goes."""
    episode = Episode(task)
    for turn in task.turns:
        for answer in (*map(render_calls, turn.steps), turn.text):
            if not episode.done:
                episode.receive(render_target("I think.", answer))
    return episode


@pytest.mark.parametrize("place", PLACES)
def test_an_episode_ends_with_the_fault_and_not_as_wrong_for_its_calls(place: str) -> None:
    install(place, skip=1)
    episode = played(TASK)
    assert episode.done and episode.fault
    outcome = episode.outcome()
    assert not outcome.right
    assert [reason.split(": ")[1] for reason in outcome.reasons] == ["environment_failed"]


def test_without_a_fault_the_same_answers_are_right() -> None:
    install("call", skip=100)
    episode = played(TASK)
    assert episode.fault is None and episode.outcome().right


def test_one_that_does_not_start_is_a_fault_before_the_first_prompt() -> None:
    install("reset")
    with pytest.raises(EnvironmentFailed, match="ConnectionRefusedError: nobody listens"):
        Episode(TASK)


@pytest.mark.parametrize("place", ["reset", "raise", "call"])
def test_gold_results_are_never_taken_from_one_that_failed(place: str) -> None:
    install(place)
    with pytest.raises(EnvironmentFailed):
        play_gold(TASK)


def test_a_wrong_call_is_no_fault() -> None:
    install("call", skip=100)
    episode = Episode(TASK)
    episode.receive(render_target("", "[no_such_tool(a=1)]"))
    episode.receive(render_target("", "I give up."))
    assert episode.fault is None and episode.done and "missing_result" in episode.outcome().reasons[0]


class Flaky:
    """An object whose server can go away."""

    def __init__(self, fail: str = "") -> None:
        self.fail = fail
        self.fault: str | None = None
        if fail == "start":
            raise TimeoutError("no answer")

    def ask(self, word: str) -> str:
        """Asks.

        Args:
            word: What.
        """
        if self.fail == "call":
            raise ConnectionResetError("gone")
        if self.fail == "told":
            self.fault = "the database is locked"
        if self.fail == "wrong":
            raise FileNotFoundError("no such word")
        return word


@pytest.mark.parametrize(
    ("fail", "fault"), [("call", "gone"), ("told", "locked"), ("wrong", None), ("", None)]
)
def test_a_class_of_one_s_own_tells_faults_by_connections_or_in_words(fail: str, fault: Any) -> None:
    world = object_world(Flaky, "flaky")()
    world.reset({"fail": fail})
    answer = world.call(Call("ask", {"word": "a"}))
    assert (world.fault is None) if fault is None else fault in str(world.fault)
    assert answer.ok is (fail in ("", "told"))
    world.reset({})
    assert world.fault is None


def test_one_that_cannot_be_made_is_a_fault_where_its_server_is_away() -> None:
    world = object_world(Flaky, "flaky")()
    with pytest.raises(ValueError):
        world.reset({"fail": "start"})
    assert world.fault is not None


@pytest.mark.skipif(bfcl_folder() is None, reason="bfcl-eval is not installed")
class TestSandbox:
    """BFCL's classes in their sandbox."""

    class Session:
        def ask(self, request: Any) -> dict[str, Any]:
            return {"stopped": GONE}

        def close(self) -> None:
            pass

    def world(self, pool: Any) -> Any:
        kind = type("Kind", (environment_kind("bfcl/MathAPI"),), {"sessions": pool})
        return kind()

    def test_a_sandbox_that_cannot_start_is_a_fault(self) -> None:
        class Pool:
            def drop(self, owner: int) -> None: ...
            def take(self, owner: int) -> None: ...
            def open(self) -> Any:
                raise BlockingIOError(11, "Resource temporarily unavailable")

        world = self.world(Pool())
        answer: Result = world.call(Call("mean", {"numbers": [1, 2]}))
        assert not answer.ok and "cannot run calls" in world.fault

    def test_one_that_ends_again_and_again_without_a_word_is_one(self) -> None:
        session = self.Session()

        class Pool:
            def drop(self, owner: int) -> None: ...
            def take(self, owner: int) -> Any:
                return session

        world = self.world(Pool())
        answer: Result = world.call(Call("mean", {"numbers": [1, 2]}))
        assert not answer.ok and "without a word" in world.fault

    def test_a_sandbox_that_is_killed_once_is_made_again(self) -> None:
        world = environment_kind("bfcl/MathAPI")()
        first = world.call(Call("mean", {"numbers": [1, 2]}))
        session = world.sessions.take(world._number)
        assert session is not None
        session.connection.shutdown(2)
        world.sessions.put(world._number, session)
        assert first.ok and world.call(Call("mean", {"numbers": [1, 2]})) == first
        assert world.fault is None
