"""Playing executable tasks with a model, many episodes in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..calls import render_calls
from ..dialogue import Message, PromptStyle
from ..environments import FAULT, EnvironmentFailed, Episode, Limits, Task
from .play import Encode, PlainGame, Render, play
from .serve.generate import Generator, Sampling


@dataclass(frozen=True)
class Rules:
    """How tasks are played.

    Attributes:
        style: Of the system prompt.
        limits: When an episode stops.
    """

    style: PromptStyle
    limits: Limits


class EpisodeGame(PlainGame):
    """An episode as a `Game`.

    Args:
        task: What is played.
        rules: How.
    """

    def __init__(self, task: Task, rules: Rules) -> None:
        self._task, self._rules = task, rules
        self._begun: Episode | None = None
        self._fault: str | None = None  # of an environment that failed before the first prompt
        self._stopped: str | None = None
        self.id = task.id

    def begin(self) -> None:
        """Makes the environment."""
        try:
            self._begun = Episode(self._task, self._rules.limits, self._rules.style)
        except EnvironmentFailed as error:
            self._fault = str(error)

    @property
    def _episode(self) -> Episode:
        if self._begun is None:
            self.begin()
        assert self._begun is not None
        return self._begun

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return self._fault is not None or self._stopped is not None or self._episode.done

    def messages(self) -> list[Message]:
        """The conversation so far."""
        return self._episode.prompt_messages()

    def receive(self, completion: str) -> None:
        """Executes the completion's calls, or ends the turn."""
        self._episode.receive(completion)

    def stop(self, reason: str, prompt: str) -> None:
        """See `Game`."""
        self._stopped = reason

    def record(self, asked: list[dict[str, Any]]) -> dict[str, Any]:
        """The episode as a row; see `play`. `fault` says why its environment failed, if it did."""
        if self._fault is not None:
            return {
                "id": self._task.id,
                "category": self._task.category,
                "right": False,
                "reasons": [f"turn 0: {FAULT}: {self._fault}"],
                "turns": [],
                "unjudged": [],
                "fault": self._fault,
            }
        outcome = self._episode.outcome()
        value = outcome.to_json()
        rest = iter(asked)
        for turn, gold in zip(value["turns"], self._task.turns, strict=False):
            turn["gold"] = [*map(render_calls, gold.steps), gold.text]
            turn["responses"] = [next(rest) | response for response in turn["responses"]]
        reasons = list(outcome.reasons)
        if self._stopped is not None:
            reasons.append(f"turn {len(outcome.turns)}: {self._stopped}")
        return {
            "id": outcome.task,
            "category": outcome.category,
            "right": outcome.right,
            "reasons": reasons,
            "turns": value["turns"],
            # Responses of a turn that was not judged any more.
            "unjudged": list(rest),
            **({"fault": self._episode.fault} if self._episode.fault is not None else {}),
        }


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

    Args:
        tasks: What to play.
        generator: The model.
        render: See `play`.
        encode: See `play`.
        sampling: How completions are drawn.
        rules: How tasks are played.
        concurrency: Most episodes at a time.
    """
    games = (EpisodeGame(task, rules) for task in tasks)
    return play(games, generator, render, encode, sampling, concurrency)
