"""The executable tasks that RL plays: training conversations alone, each with its first step as the row."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from funreason_train.calls import render_calls
from funreason_train.dialogue import render_target
from funreason_train.environments import Task, play, read_tasks

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
SMALL = {"trajectories": 60, "heldout_tasks": 40, "tuning_tasks": 40}


@pytest.fixture(scope="module")
def made(synthesise: Callable[..., Path]) -> Path:
    return synthesise("maker=embedded", *(f"{key}={value}" for key, value in SMALL.items()))


@pytest.fixture(scope="module")
def words(made: Path) -> list[str]:
    return ["data.datasets=[synth]", "data.val_share=0.2", f"data.synth.path={made}/conversations.jsonl"]


def rows(out: Path, side: str) -> list[dict[str, Any]]:
    """The rows of one side's environment file."""
    found: list[dict[str, Any]] = pq.read_table(out / "rl" / f"env_{side}.parquet").to_pylist()
    return found


def task_of(row: dict[str, Any]) -> Task:
    return Task.from_json(json.loads(row["extra_info"]["task"]))


def gold(task: Task) -> list[str]:
    """The gold completions of a task, in order."""
    return [
        render_target("I think.", answer)
        for turn in task.turns
        for answer in (*map(render_calls, turn.steps), turn.text)
    ]


def test_every_conversation_is_one_task_that_its_gold_calls_solve(prepare: Prepare, words: list[str]) -> None:
    out, result = prepare(*words)
    train, val = rows(out, "train"), rows(out, "val")
    assert result["environment"] == {"train": len(train), "val": len(val)}
    assert len(train) + len(val) == SMALL["trajectories"] and val
    assert [row["extra_info"]["index"] for row in train] == list(range(len(train)))
    for row in [*train, *val]:
        task = task_of(row)
        answers = iter(gold(task))
        assert play(task, partial(lambda answers, _: next(answers), answers)).right
        assert row["prompt"][-1] == {"role": "user", "content": task.turns[0].user}
        assert row["extra_info"]["id"] == f"{task.id}/0.0"


def test_a_step_row_of_the_same_conversation_says_the_same(prepare: Prepare, words: list[str]) -> None:
    out, _ = prepare(*words)
    steps = {row["extra_info"]["id"]: row for row in pq.read_table(out / "rl" / "train.parquet").to_pylist()}
    for row in rows(out, "train"):
        step = steps[row["extra_info"]["id"]]
        assert row["prompt"] == step["prompt"] and row["reward_model"] == step["reward_model"]
        assert "task" not in json.loads(row["extra_info"]["meta"])


def test_no_task_that_measures_is_trained_on(prepare: Prepare, words: list[str], made: Path) -> None:
    out, _ = prepare(*words)
    trained = [task_of(row) for side in ("train", "val") for row in rows(out, side)]
    kept_apart = [
        task for name in ("heldout", "tuning") for task in read_tasks(made / "tasks" / f"{name}.jsonl")
    ]
    said = {turn.user for task in kept_apart for turn in task.turns if task.category != "missing"}
    assert not {task.id for task in trained} & {task.id for task in kept_apart}
    assert not {task.turns[0].user for task in trained} & said
    assert not {frozenset(task.tools) for task in trained} & {frozenset(task.tools) for task in kept_apart}


def test_lengths_are_those_of_the_longest_prompt_and_too_long_tasks_stay_out(
    prepare: Prepare, words: list[str], tokenizer_folder: Path
) -> None:
    words = [*words, f"data.tokenizer={tokenizer_folder}"]
    out, _ = prepare(*words)
    longest: dict[str, int] = {}
    for row in pq.read_table(out / "rl" / "train.parquet").to_pylist():
        name = row["extra_info"]["id"].rpartition("/")[0]
        longest[name] = max(longest.get(name, 0), row["extra_info"]["prompt_tokens"])
    measured = {
        r["extra_info"]["id"].rpartition("/")[0]: r["extra_info"]["prompt_tokens"] for r in rows(out, "train")
    }
    assert measured == longest
    limit = sorted(longest.values())[len(longest) // 2]
    out, _ = prepare(*words, f"data.max_prompt_tokens={limit}", "data.max_dropped_share=1")
    assert {row["extra_info"]["id"].rpartition("/")[0] for row in rows(out, "train")} == {
        name for name, tokens in longest.items() if tokens <= limit
    }


def test_sources_without_environments_make_no_such_file(prepare: Prepare) -> None:
    out, result = prepare("data.datasets=[apigen]")
    assert not list((out / "rl").glob("env_*"))
    assert result["environment"] == {"train": 0, "val": 0}
