"""Whatever a model writes is read, executed, judged and written to files: nothing raises.

FUNREASON_FUZZ=N plays N completions; a million take minutes.
"""

import asyncio
import dataclasses
import json
import os
import random
from pathlib import Path
from typing import Any

import jinja2
import pytest
from environments import fuzz

from funreason_train.calls import Call
from funreason_train.dialogue import QWEN_CHAT_TEMPLATE, render_prompt
from funreason_train.environments import (
    Environment,
    Limits,
    Result,
    TableWorld,
    Task,
    TaskTurn,
    registry,
    tool,
)
from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.evaluate import results
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.browser import played_tasks, read_browser, write_browser
from funreason_train.evaluate.heldout import Rules, play_tasks
from funreason_train.evaluate.serve.generate import Generated, Sampling
from funreason_train.plain import json_text
from funreason_train.reward import compute_score
from funreason_train.rl.rollout.episodes import EpisodeRules, Written, play_episode, record
from funreason_train.rl.train.records import Row, line

COMPLETIONS = int(os.environ.get("FUNREASON_FUZZ", "3000"))
TRUTH = json.dumps({"calls": [{"name": "find_item", "arguments": {"name": "Box"}}], "tools": []})


class Keeper(TableWorld):
    """Takes anything, keeps it and gives it back."""

    name = "keeper"
    tables = ("kept",)

    @tool
    def show(
        self,
        k: Any = None,
        name: str = "",
        numbers: list[float] | None = None,
        where: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Keep and show."""
        self.state["kept"][name] = {"k": k, "where": where}
        return {"k": k, "name": name, "numbers": numbers, "where": where}


class Rude(Environment):
    """Breaks every promise."""

    name = "rude"

    def reset(self, config: Any) -> None:
        """Starts."""

    def tools(self) -> list[dict[str, Any]]:
        """None in particular."""
        return [{"name": "show", "description": "", "parameters": {}}]

    def call(self, call: Any) -> Any:
        """Raises, unless nothing is asked."""
        if call.arguments:
            raise KeyError("\ud83d")
        return Result("\udc00", True)

    def snapshot(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def compare(self, other: Any) -> list[str]:
        """Raises."""
        raise RuntimeError("no")

    def close(self) -> None:
        """Raises."""
        raise RuntimeError("no")


def turn(*calls: Any) -> Any:
    return TaskTurn("Do it.", tuple((call,) for call in calls), "Done.")


SHOP = {"items": {"K1": {"name": "Box", "price": 3, "stock": 4}}, "fresh": {"orders": ["R1", "R2"]}}
TASKS = [
    Task(
        "shop", "a", "shop", SHOP, ("find_item", "get_stock"), (turn(Call("find_item", {"name": "Box"})),) * 2
    ),
    Task("keeper", "b", "keeper", {}, ("show",), (turn(Call("show", {"k": 1})), turn())),
    Task("rude", "c", "rude", {}, ("show",), (turn(Call("show", {})),)),
]
if bfcl_folder() is not None:
    files = {"root": {"desk": {"type": "directory", "contents": {"goal": {"type": "file", "content": "x"}}}}}
    config = {"GorillaFileSystem": files}
    names = ("ls", "mean")
    TASKS.append(Task("bfcl", "d", "bfcl/GorillaFileSystem+MathAPI", config, names, (turn(Call("ls", {})),)))


class Model:
    """Writes what the fuzzer says."""

    def __init__(self, seed: int) -> None:
        self.rng, self.written = random.Random(seed), 0
        self.waiting: list[Any] = []

    def submit(self, key: Any, prompt: Any, sampling: Any) -> None:
        assert prompt
        self.waiting.append(key)

    def collect(self) -> list[Any]:
        self.written += 1
        return [Generated(self.waiting.pop(), fuzz.completion(self.rng), 1, "stop")]


@pytest.fixture(autouse=True)
def _worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ENVIRONMENTS", {**registry.ENVIRONMENTS, "keeper": Keeper, "rude": Rude})


def render(messages: Any) -> Any:
    return render_prompt(messages, QWEN_CHAT_TEMPLATE)


def play(model: Any, number: Any) -> Any:
    tasks = [dataclasses.replace(task, id=f"{task.id}-{number}") for task in TASKS]
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=400, max_model_tokens=10**9, seed=0)
    rules = Rules("compact", Limits(responses=4, stop_when_wrong=False))
    return play_tasks(tasks, model, render, lambda text: list(text.encode())[:1], sampling, rules, 2)


def test_episodes_of_fuzzed_completions_are_played_and_written(tmp_path: Path) -> None:
    model, number = Model(1), 0
    while model.written < COMPLETIONS:
        rows: list[Any] = []
        while model.written < COMPLETIONS and len(rows) < 2000:
            rows += play(model, number)
            number += 1
        results.write(tmp_path, [rows], Attempts(), {})
        lines = (tmp_path / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
        read = [json.loads(line) for line in lines]
        assert [row["id"] for row in read] == [row["id"] for row in rows]
        answers = [one for row in read for turn in row["turns"] for one in turn["responses"]]
        assert {ok for one in answers for ok in one["ok"]} == {True, False}
        write_browser(tmp_path / "failures.html", "Fuzz", {"m": played_tasks([rows], Attempts())})
        assert len(read_browser(tmp_path / "failures.html")["entries"]) == len(rows)


TEMPLATE = jinja2.Template(QWEN_CHAT_TEMPLATE, trim_blocks=True, lstrip_blocks=True)


class Letters:
    """A tokenizer of one token a character."""

    eos_token_id = pad_token_id = 0

    def __call__(self, text: Any, add_special_tokens: bool = False) -> dict[str, Any]:
        return {"input_ids": [ord(letter) for letter in text]}

    def decode(
        self, ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False
    ) -> Any:
        return "".join(map(chr, ids))

    chat_template = QWEN_CHAT_TEMPLATE

    def apply_chat_template(self, messages: Any, tokenize: Any, add_generation_prompt: Any, **_: Any) -> Any:
        return TEMPLATE.render(messages=messages, add_generation_prompt=add_generation_prompt)


def test_rollouts_of_fuzzed_completions_are_recorded() -> None:
    rng, tokenizer = random.Random(3), Letters()
    rules = EpisodeRules("compact", responses=4, seconds=60.0, prompt_tokens=10**9, response_tokens=10**9)

    async def write(prompt: Any, number: Any) -> Any:
        return Written([*map(ord, fuzz.completion(rng)), 0])

    for number in range(max(COMPLETIONS // 30, 1)):
        played = asyncio.run(play_episode(TASKS[number % len(TASKS)], write, tokenizer, rules))
        assert len(played.outcomes) == len(TASKS[number % len(TASKS)].turns)
        for sample in played.samples:
            row = Row("a_0_0", 0.0, {"score": 0.0, "reason": 0.0}, record(played, sample))
            json.loads(json_text(line(row, "P", sample.text, "")).encode().decode())


def test_rewards_of_fuzzed_completions_are_numbers() -> None:
    rng = random.Random(2)
    for _ in range(COMPLETIONS):
        assert 0.0 <= compute_score("x", fuzz.completion(rng), TRUTH)["score"] <= 1.0


def test_a_value_that_json_cannot_hold_is_written_as_a_text() -> None:
    huge, odd = {"a": [-(10**9000)]}, {"\udc00": {1, 2}}
    for value in (10**5000, huge, odd, float("nan"), [float("inf")], "\ud83d", {1: 2}, b"x"):
        text = json_text({"value": value, "other": "é"})
        assert json.loads(text.encode())["other"] == "é" and '"value": ' in text


def test_what_json_can_hold_is_written_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "é😀\n"], "b": {}}
    assert json_text(value) == json.dumps(value, ensure_ascii=False)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    json.loads(json_text(deep))
