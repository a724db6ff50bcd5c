"""Executable tasks: what the user says, what the world looks like, and the calls that solve it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calls import Call
from ..errors import UserError
from .faults import BROKEN, EnvironmentFailed, faults, note_fault
from .protocol import Environment, Result, brief, shown
from .registry import played_environment


@dataclass(frozen=True)
class TaskTurn:
    """One user message and its solution.

    Attributes:
        user: What the user says.
        steps: The gold calls of each response, in order; empty when plain text is the right answer.
        text: The gold reply that ends the turn.
    """

    user: str
    steps: tuple[tuple[Call, ...], ...]
    text: str


@dataclass(frozen=True)
class Task:
    """One conversation to be played in a live environment.

    Attributes:
        id: Unique within its file.
        category: What it tests, for tables.
        environment: A name of the registry.
        config: The state that the environment starts from.
        tools: The offered tools' names, in the order in which they are shown.
        turns: The conversation.
    """

    id: str
    category: str
    environment: str
    config: Mapping[str, Any]
    tools: tuple[str, ...]
    turns: tuple[TaskTurn, ...]

    def tool_docs(self) -> list[dict[str, Any]]:
        """The offered tools' documents, in the task's order."""
        environment = played_environment(self.environment)
        documents = {tool["name"]: tool for tool in environment.tools()}
        leave(environment)
        return [shown(documents[name]) for name in self.tools]

    def to_json(self) -> dict[str, Any]:
        """The task as JSON values."""
        return {
            "id": self.id,
            "category": self.category,
            "environment": self.environment,
            "config": dict(self.config),
            "tools": list(self.tools),
            "turns": [
                {"user": t.user, "steps": [[c.to_json() for c in step] for step in t.steps], "text": t.text}
                for t in self.turns
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """The inverse of `to_json`."""
        turns = (
            TaskTurn(t["user"], tuple(tuple(map(Call.from_json, step)) for step in t["steps"]), t["text"])
            for t in value["turns"]
        )
        plain = {key: value[key] for key in ("id", "category", "environment", "config")}
        return cls(**plain, tools=tuple(value["tools"]), turns=tuple(turns))


@dataclass(frozen=True)
class GoldTurn:
    """What the gold calls of one turn do: each response's results, and the state after the turn."""

    results: tuple[tuple[Result, ...], ...]
    state: Any

    def seen(self) -> list[Result]:
        """All results of the turn."""
        return [result for results in self.results for result in results]


def play_gold(task: Task) -> list[GoldTurn]:
    """Executes the gold calls of every turn in a fresh environment.

    Raises:
        ValueError: The environment cannot start from the task's configuration, or its state cannot be read.
        EnvironmentFailed: The environment itself failed (a ValueError as well).
    """
    environment = opened(task.environment)
    try:
        with faults(environment):
            environment.reset(task.config)
            return [
                GoldTurn(
                    tuple(tuple(execute(environment, call) for call in step) for step in turn.steps),
                    environment.snapshot(),
                )
                for turn in task.turns
            ]
    finally:
        leave(environment)


def opened(name: str) -> Environment:
    """A new environment for an episode.

    Raises:
        UserError: There is no environment of that name, or it cannot be made.
        EnvironmentFailed: It cannot be made because something that it needs is gone or silent.
    """
    try:
        return played_environment(name)
    except UserError as error:
        if isinstance(error.__cause__, BROKEN):
            raise EnvironmentFailed(str(error)) from error
        raise


def execute(environment: Environment, call: Call) -> Result:
    """Executes one call, also in an environment that breaks its promise and raises."""
    try:
        return environment.call(call)
    except Exception as error:
        note_fault(environment, error)
        return Result(f"Error: {type(error).__name__}: {brief(error, 2000)}", False)


def leave(environment: Environment) -> None:
    """Closes an environment that is not needed any more, whatever it makes of that."""
    with contextlib.suppress(Exception):
        environment.close()


def write_tasks(path: Path, tasks: Iterable[Task]) -> int:
    """Writes one task a line; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, task in enumerate(tasks, start=1):  # noqa: B007 - the count outlives the loop
            file.write(json.dumps(task.to_json(), ensure_ascii=False) + "\n")
    return count


def read_tasks(path: Path) -> Iterator[Task]:
    """Reads what `write_tasks` wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Task.from_json(json.loads(line))
