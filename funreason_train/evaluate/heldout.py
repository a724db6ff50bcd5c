"""Playing executable tasks with a model, many episodes in one batch."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..calls import render_calls
from ..dialogue import Message, PromptStyle
from ..environments import Episode, Limits, Task
from .generate import Generated, Generator, Sampling

Render = Callable[[list[Message]], str]
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Rules:
    """How tasks are played.

    Attributes:
        style: Of the system prompt.
        limits: When an episode stops.
    """

    style: PromptStyle
    limits: Limits


@dataclass
class _Running:
    """An episode that waits for a completion, and what it asked so far."""

    episode: Episode
    asked: list[dict[str, Any]]


def play_tasks(
    tasks: Iterable[Task],
    generator: Generator,
    render: Render,
    encode: Encode,
    sampling: Sampling,
    rules: Rules,
    concurrency: int,
) -> Iterator[dict[str, Any]]:
    """Plays tasks, `concurrency` of them at a time, and yields each episode's record as it ends.

    The same tasks in the same order make the same batches, so greedy runs repeat to the letter.

    Args:
        tasks: What to play.
        generator: The model.
        render: Messages to the prompt's text: `render_prompt` with the model's tokenizer.
        encode: The prompt's text to token ids, nothing added.
        sampling: How completions are drawn.
        rules: How tasks are played.
        concurrency: Most episodes at a time.

    Yields:
        `{"id", "category", "right", "reasons", "turns": [{"user", "gold", "reasons", "responses": [{"prompt",
        "prompt_tokens", "completion", "tokens", "finish", "calls", "results"}]}], "unjudged": […]}`; the
        first reason is what went wrong first.
    """
    waiting = deque(tasks)
    running: dict[str, _Running] = {}

    def ask(now: _Running) -> dict[str, Any] | None:
        """Submits the next prompt; the record of the episode if its prompt no longer fits."""
        prompt = render(now.episode.prompt_messages())
        ids = encode(prompt)
        if sampling.room(len(ids)) < 1:
            reason = f"prompt_too_long: {len(ids)} tokens of {sampling.max_model_tokens}"
            return record(now.episode, now.asked, reason)
        now.asked.append({"prompt": prompt, "prompt_tokens": len(ids)})
        generator.submit(f"{now.episode.task.id}/{len(now.asked)}", ids, sampling)
        return None

    while waiting or running:
        while waiting and len(running) < concurrency:
            task = waiting.popleft()
            if task.id in running:
                raise ValueError(f"two tasks have the id {task.id}")
            running[task.id] = _Running(Episode(task, rules.limits, rules.style), [])
            if (over := ask(running[task.id])) is not None:
                del running[task.id]
                yield over
        if not running:
            continue
        for generated in generator.collect():
            name = generated.key.rpartition("/")[0]
            now = running[name]
            _take(now, generated)
            over = record(now.episode, now.asked) if now.episode.done else ask(now)
            if over is not None:
                del running[name]
                yield over


def _take(now: _Running, generated: Generated) -> None:
    now.asked[-1] |= {"tokens": generated.tokens, "finish": generated.finish}
    now.episode.receive(generated.text)


def record(episode: Episode, asked: list[dict[str, Any]], stopped: str | None = None) -> dict[str, Any]:
    """An episode as one row of `episodes.jsonl`.

    Args:
        episode: A finished episode, or one that cannot go on.
        asked: What was asked and how it ended, response by response.
        stopped: Why it cannot go on.
    """
    outcome = episode.outcome()
    value = outcome.to_json()
    rest = iter(asked)
    for turn, gold in zip(value["turns"], episode.task.turns, strict=False):
        turn["gold"] = [*map(render_calls, gold.steps), gold.text]
        turn["responses"] = [next(rest) | response for response in turn["responses"]]
    reasons = list(outcome.reasons) + ([f"turn {len(outcome.turns)}: {stopped}"] if stopped else [])
    return {
        "id": outcome.task,
        "category": outcome.category,
        "right": outcome.right,
        "reasons": reasons,
        "turns": value["turns"],
        # Responses of a turn that was not judged any more.
        "unjudged": list(rest),
    }


def dump(row: dict[str, Any]) -> str:
    """A record as one line."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
