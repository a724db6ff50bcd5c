"""Playing tasks with a scripted model: what is scored right is exactly what was answered right."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluate.scripted import SAMPLING, TASKS, Scripted, encode, gold, render

from funreason_train.environments import Limits
from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.evaluate import results
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.heldout import Rules, play_tasks
from funreason_train.evaluate.play import dump
from funreason_train.synth import bfcl_world

RULES = Rules("compact", Limits())
GOLD = {task.id: gold(task) for task in TASKS}


def play(
    tasks: Any, generator: Any, concurrency: int = 8, sampling: Any = SAMPLING, rules: Any = RULES
) -> Any:
    return play_tasks(tasks, generator, render, encode, sampling, rules, concurrency)


def test_gold_answers_are_all_right() -> None:
    rows = list(play(TASKS, Scripted(GOLD)))
    assert sorted(row["id"] for row in rows) == sorted(task.id for task in TASKS)
    assert all(row["right"] and not row["reasons"] for row in rows)
    assert results.score([rows], Attempts())["accuracy"] == 1.0


@pytest.mark.skipif(bfcl_folder() is None, reason="bfcl-eval is not installed")
def test_tasks_in_bfcls_environments_are_played_like_our_own() -> None:
    found = list(bfcl_world.tasks("heldout", 20, 3, dict.fromkeys(bfcl_world.CATEGORIES, 1.0)))
    answers = {task.id: gold(task) for task in found}
    left_out = {task.id for task in found if task.category == "parallel"}
    for name in left_out:
        answers[name] = [answers[name][-1]]
    rows = {row["id"]: row for row in play([*TASKS[:5], *found], Scripted({**GOLD, **answers}))}
    assert left_out and {name for name, row in rows.items() if not row["right"]} == left_out
    assert all("missing_result: " in rows[name]["reasons"][0] for name in left_out)


def test_a_known_mixture_scores_exactly_the_known_share() -> None:
    wrong = {task.id for task in TASKS[::3]}
    answers = {name: ["no end of thought"] if name in wrong else GOLD[name] for name in GOLD}
    scores = results.score([list(play(TASKS, Scripted(answers)))], Attempts())
    assert scores["right"] == len(TASKS) - len(wrong)
    assert scores["accuracy"] == (len(TASKS) - len(wrong)) / len(TASKS)
    assert sum(part["right"] for part in scores["categories"].values()) == scores["right"]
    assert sum(part["tasks"] for part in scores["categories"].values()) == len(TASKS)


def test_a_row_holds_every_prompt_completion_and_result() -> None:
    task = next(task for task in TASKS if task.category == "chain")
    generator = Scripted(GOLD)
    (row,) = play([task], generator)
    assert json.loads(dump(row)) == row
    responses = [response for turn in row["turns"] for response in turn["responses"]]
    assert [response["completion"] for response in responses] == GOLD[task.id]
    for number, response in enumerate(responses, 1):
        assert encode(response["prompt"]) == generator.prompts[f"{task.id}/{number}"]
        assert response["prompt_tokens"] == len(encode(response["prompt"]))
        assert response["finish"] == "stop" and response["tokens"] > 0
    assert responses[0]["results"] and str(responses[0]["results"]) in responses[1]["prompt"]
    assert "I think." not in responses[1]["prompt"]  # no thought in the history


def test_no_more_episodes_run_at_a_time_than_asked() -> None:
    for most in (1, 5, 1000):
        generator = Scripted(GOLD)
        assert len(list(play(TASKS, generator, most))) == len(TASKS)
        assert generator.most == min(most, len(TASKS))


def test_a_prompt_that_does_not_fit_is_a_failed_task_and_the_others_go_on() -> None:
    longest = max(TASKS, key=lambda task: len(task.turns[0].user))
    sampling = replace(SAMPLING, max_model_tokens=10)
    rows = list(play([longest, *TASKS[:2]], Scripted(GOLD), sampling=sampling))
    assert [row["right"] for row in rows] == [False] * 3
    assert rows[0]["reasons"][0].startswith("turn 0: prompt_too_long: ")
    assert results.failure(rows[0])["wrong"] == rows[0]["reasons"][0]
    assert results.reasons(rows) == {"prompt_too_long": 3}


def test_too_many_responses_end_a_task() -> None:
    task = next(task for task in TASKS if task.category == "single")
    again = {task.id: [GOLD[task.id][0]] * 9}
    generator = Scripted(again)
    (row,) = play([task], generator, rules=Rules("compact", Limits(responses=3)))
    assert not row["right"] and "too_many_responses" in row["reasons"][0]
    assert generator.served == 3


def test_after_a_crash_only_the_rest_is_played(tmp_path: Path) -> None:
    file = tmp_path / "replica0.jsonl"
    with pytest.raises(RuntimeError, match="died"), file.open("w") as out:
        for row in play(TASKS, Scripted(GOLD, fail_after=30)):
            out.write(dump(row))
    done = results.finished(tmp_path)
    assert 0 < len(done) < len(TASKS)
    rest = [task for task in TASKS if task.id not in done]
    generator = Scripted(GOLD)
    rows = list(play(rest, generator))
    assert {row["id"] for row in rows} == {task.id for task in rest}
    whole = {row["id"]: row for row in play(TASKS, Scripted(GOLD))}
    assert {**done, **{row["id"]: row for row in rows}} == whole


def test_the_sampling_seed_belongs_to_the_response() -> None:
    drawn = replace(SAMPLING, temperature=0.7)
    assert SAMPLING.seed_of("a/1") is None
    assert drawn.seed_of("a/1") == drawn.seed_of("a/1") != drawn.seed_of("a/2")
    assert drawn.seed_of("a/1") != replace(drawn, seed=1).seed_of("a/1")
    assert [SAMPLING.room(tokens) for tokens in (0, 4090, 4094)] == [64, 4, 0]
