"""Episodes in BFCL's environments: the gold is worth 1, anything less less, and none holds up another."""

import asyncio
import json
from functools import cache
from typing import Any

import pytest
from rl.episode_script import RULES, TOKENIZER, completion, flat, gold, run

from funreason_train.calls import Call, render_calls
from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.environments.bfcl.sessions import limit_calls
from funreason_train.environments.sandbox.configured import VARIABLE
from funreason_train.environments.tasks import Task, TaskTurn
from funreason_train.reward import compute_score
from funreason_train.rl.rollout.episodes import Written, play_episode
from funreason_train.rl.settings import tasks
from funreason_train.synth import bfcl_world

pytestmark = pytest.mark.skipif(bfcl_folder() is None, reason="bfcl-eval is not installed")


@cache
def drawn() -> Any:
    """Tasks of every category."""
    return list(bfcl_world.tasks("train", 30, 2, dict.fromkeys(bfcl_world.CATEGORIES, 1.0)))


def score(played: Any) -> Any:
    turns = {"turns": played.outcomes}
    truth = '{"calls": [], "tools": []}'
    return compute_score("x", played.samples[-1].text, truth, turns, variant="progress")["score"]


def task_of(category: Any, environment: str = "bfcl/") -> Any:
    return next(t for t in drawn() if t.category == category and t.environment.startswith(environment))


def test_the_gold_is_worth_one_and_every_task_can_be_trusted() -> None:
    assert [found for task in drawn() if (found := tasks.flaw(task))] == []
    for task in drawn()[:12]:
        played, _ = run(task, flat(gold(task)))
        assert played.reasons == () and score(played) == 1.0
        restored = Task.from_json(json.loads(json.dumps(task.to_json())))
        assert run(restored, flat(gold(task)))[0].outcomes == played.outcomes


@pytest.mark.parametrize("category", bfcl_world.CATEGORIES)
def test_a_dropped_call_is_worth_less(category: Any) -> None:
    task = task_of(category)
    turns = gold(task)
    at = max(n for n, turn in enumerate(task.turns) if turn.steps)
    calls = task.turns[at].steps[-1]
    turns[at][len(task.turns[at].steps) - 1] = render_calls(calls[:-1]) if len(calls) > 1 else "Done."
    if len(calls) == 1:
        del turns[at][len(task.turns[at].steps) :]
    played, _ = run(task, flat(turns))
    assert score(played) == (len(task.turns) - 1) / len(task.turns)
    assert any(f"turn {at}: missing_result" in reason for reason in played.reasons)


def test_a_needed_result_and_a_changed_state_are_told_apart() -> None:
    task = task_of("single", "bfcl/TicketAPI")
    turns = gold(task)
    turns[0].insert(0, render_calls([Call("logout", {})]))
    played, _ = run(task, flat(turns))
    assert played.outcomes == [{"state_equal": False, "results_seen": True}]
    assert played.reasons == ("turn 0: wrong_state: TicketAPI/current_user is None, not desk",)
    assert score(played) < 1.0


def test_results_are_shown_as_bfcl_shows_them() -> None:
    task = task_of("chain", "bfcl/GorillaFileSystem+MathAPI")
    played, asked = run(task, flat(gold(task)))
    prompt = TOKENIZER.decode(asked[1])
    (result,) = played.samples[0].results
    assert result.ok and result.text.startswith('{"file_content": "')
    assert f"<tool_response>\n{[result.text]}\n</tool_response>" in prompt


def test_a_call_that_never_ends_holds_up_no_other_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended by the limit of its own process; all others are played to their ends meanwhile."""
    turn = TaskTurn("Hm?", ((Call("add", {"a": 1, "b": 2}),),), "3")
    hanging = Task("hanging", "own", "bfcl/MathAPI", {}, ("power",), (turn,))
    burn = [completion("[power(base=10, exponent=100000000)]"), completion("Done.")]
    others = [task for task in drawn() if task.category == "follow_up"][:3]
    ended = []

    async def play(task: Any, completions: Any) -> Any:
        async def write(prompt: Any, number: Any) -> Any:
            return Written(TOKENIZER(completions[number])["input_ids"], None, {})

        played = await play_episode(task, write, TOKENIZER, RULES)
        ended.append(task.id)
        return played

    async def together() -> Any:
        return await asyncio.gather(play(hanging, burn), *(play(task, flat(gold(task))) for task in others))

    monkeypatch.setenv(VARIABLE, "")
    limits = {"seconds": 0.7, "wall_seconds": 60, "memory_mib": 512, "waiting": 256}
    limit_calls(limits)
    first, *rest = asyncio.run(together())
    limit_calls({**limits, "seconds": 5})
    assert ended[-1] == "hanging" and all(score(played) == 1.0 for played in rest)
    assert first.samples[0].results[0].text.startswith("Error during execution: time_limit")
    assert score(first) < 1.0
