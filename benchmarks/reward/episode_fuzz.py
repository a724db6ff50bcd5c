"""Episodes played by random and mutated completions, with every file written that an evaluation writes.

Used by `reward_fuzz.py`. The loop, the environments and the writers are the product's own; only the model is
replaced. Besides the product's embedded tasks there is one whose tool answers with what it is given, so that
whatever a model writes comes back into prompts, results and files.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from funreason_train.calls import Call, render_calls
from funreason_train.dialogue import QWEN_CHAT_TEMPLATE, render_prompt
from funreason_train.environments import (
    ENVIRONMENTS,
    Limits,
    TableWorld,
    Task,
    TaskTurn,
    ToolError,
    register_environment,
    tool,
)
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.browser import played_tasks as browsable
from funreason_train.evaluate.browser import write_browser
from funreason_train.evaluate.heldout import EpisodeGame, Rules
from funreason_train.evaluate.play import play
from funreason_train.evaluate.results import finished, verdicts, write
from funreason_train.evaluate.serve.generate import Generated, Sampling
from funreason_train.synth.embedded.generate import tasks
from funreason_train.synth.embedded.plans import CATEGORIES

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=10**9, max_model_tokens=10**9, seed=0)


class EchoWorld(TableWorld):
    """A world that answers with what it is asked, and keeps it."""

    name = "fuzz_echo"
    tables = ("notes",)

    @tool
    def book(
        self,
        city: str = "Oslo",
        price: float = 0.0,
        dates: list[int] | None = None,
        guest: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Books, and says what was booked.

        Args:
            city: Where.
            price: For how much.
            dates: When.
            guest: For whom.
        """
        if city == "nowhere":
            raise ToolError(f"unknown_city: {city}")
        booked = {"city": city, "price": price, "dates": dates, "guest": guest}
        self.state["notes"][city] = booked
        return booked

    @tool
    def pwd(self) -> dict[str, Any]:
        """Says where it is."""
        return {"path": "/"}


@lru_cache
def played_tasks() -> list[Task]:
    """The tasks that take turns: the embedded ones, and echoes."""
    if EchoWorld.name not in ENVIRONMENTS:
        register_environment(EchoWorld)
    turn = TaskTurn("Book Oslo.", ((Call("book", {"city": "Oslo", "price": 1.0}),),), "Booked.")
    echo = [
        Task(f"echo{n}", "echo", EchoWorld.name, {}, ("book", "pwd"), (turn, TaskTurn("Thanks.", (), "Bye.")))
        for n in range(8)
    ]
    return [*tasks("train", 24, 7, dict.fromkeys(CATEGORIES, 1.0)), *echo]


class _Writer:
    """A `Generator` whose completions are given beforehand; between them it solves a step, to get on."""

    def __init__(self, completions: Sequence[str], seed: int) -> None:
        self._left = deque(completions)
        self._draw = random.Random(seed)
        self._waiting: list[str] = []
        self.used = 0

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """Asks for one completion."""
        self._waiting.append(key)

    def collect(self) -> list[Generated]:
        """All that was asked for."""
        found = [Generated(key, self._next(), 1, "stop") for key in self._waiting]
        self._waiting.clear()
        return found

    def _next(self) -> str:
        if not self._left or self._draw.random() < 0.2:
            return self._draw.choice(("t</think>\n\nDone.", 't</think>\n\n[book(city="x", price=1)]'))
        self.used += 1
        return self._left.popleft()


def play_all(completions: Sequence[str], seed: int, folder: Path) -> tuple[int, int, list[str]]:
    """Plays tasks until every completion was received by an episode, and writes what an evaluation writes.

    Args:
        completions: What the model writes.
        seed: Of the order of the tasks.
        folder: Where the files go.

    Returns:
        How many completions were received, how many episodes played, and what must not happen.
    """
    chosen, faults = played_tasks(), []
    writer = _Writer(completions, seed)
    rows: list[dict[str, Any]] = []
    while writer.used < len(completions):
        task = chosen[len(rows) % len(chosen)]
        name = f"{task.id}#{len(rows)}"
        named = Task(name, task.category, task.environment, task.config, task.tools, task.turns)
        game = EpisodeGame(named, Rules("compact", Limits(stop_when_wrong=False)))
        try:
            rows += play(
                [game],
                writer,
                lambda messages: render_prompt(messages, QWEN_CHAT_TEMPLATE, merged=True),
                lambda prompt: list(prompt.encode("utf-8", "surrogatepass")[:8]),
                SAMPLING,
                1,
            )
        except Exception as error:
            faults.append(f"episode: {error!r}")
            game.stop("raised: an exception", "")
            rows.append(game.record([]))
    faults += _write_files(rows, folder)
    return writer.used, len(rows), faults


def _write_files(rows: list[dict[str, Any]], folder: Path) -> list[str]:
    """What goes wrong when the files of an evaluation are written and read back."""
    try:
        write(folder, [rows], Attempts(), {})
        (folder / "parts").mkdir(exist_ok=True)
        (folder / "episodes.jsonl").replace(folder / "parts" / "replica0.jsonl")
        read = finished(folder / "parts")
        if len(read) != len(rows) or len(verdicts(folder / "parts" / "replica0.jsonl")) != len(rows):
            return [f"files: {len(rows)} episodes written, {len(read)} read back"]
        if [row["right"] for row in read.values()] != [row["right"] for row in rows]:
            return ["files: an episode was read back as another"]
        for line in (folder / "failures.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
            json.loads(line)
        json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        write_browser(folder / "failures.html", "fuzz", {"fuzz": browsable([rows], Attempts())})
    except Exception as error:
        return [f"files: {error!r}"]
    return []


def right_answers() -> list[str]:
    """Calls that the tasks understand, to be mutated."""
    return [render_calls(step) for task in played_tasks() for turn in task.turns for step in turn.steps]
