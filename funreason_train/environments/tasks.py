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


class NotATask(ValueError):
    """A line of a file that holds no task; the message names the line, counted from 1, and says why."""

    def __init__(self, line: int, why: str) -> None:
        self.line = line
        super().__init__(f"line {line} is not a task ({why})")


def read_tasks(path: Path) -> Iterator[Task]:
    """Reads what `write_tasks` wrote; see `numbered_tasks`."""
    return (task for _, task in numbered_tasks(path))


def numbered_tasks(path: Path) -> Iterator[tuple[int, Task]]:
    """The tasks of a file, each with its line, counted from 1; empty lines are passed over.

    Raises:
        NotATask: for the first line that is none.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                task = Task.from_json(json.loads(text)) if text else None
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise NotATask(number, f"{type(error).__name__}: {error}") from None
            if task is not None:
                if wrong := _misshapen(task):
                    raise NotATask(number, wrong)
                yield number, task


def _misshapen(task: Task) -> str:
    """What of a task is of another kind than it has to be, as a clause; empty if nothing is."""
    texts = {name: getattr(task, name) for name in ("id", "category", "environment")}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        return f"its {wrong[0]} is {texts[wrong[0]]!r:.40}, and a text is needed"
    if not isinstance(task.config, Mapping):
        return f"its config is {task.config!r:.40}, and an object is needed"
    if not all(isinstance(name, str) for name in task.tools):
        return "its tools are not a list of names"
    if not task.turns:
        return "it has no user turn"
    for number, turn in enumerate(task.turns):
        if not all(isinstance(call.name, str) for step in turn.steps for call in step):
            return f"a gold call of turn {number} has no name that is a text"
        for name in ("user", "text"):
            if not isinstance(getattr(turn, name), str):
                return f"{name} of turn {number} is {getattr(turn, name)!r:.40}, and a text is needed"
    return ""
