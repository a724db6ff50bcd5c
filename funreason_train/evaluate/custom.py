"""The user's own tasks: rows of the data stage's RL parquet (a prompt, one completion, scored by the reward),
or executable tasks as JSONL, which are played like the held-out ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calls import render_calls
from ..dialogue import Message
from ..dialogue.completion import ERRORS
from ..dialogue.protocol import MergedResults
from ..environments import EnvironmentFailed, Task
from ..environments.tasks import NotATask, numbered_tasks, play_gold
from ..errors import UserError
from ..reward import compute_score, reason_of
from ..reward.gold import read_gold
from ..run.files import MISSHAPEN
from .play import Encode, PlainGame, Render, play
from .serve.generate import Generator, Sampling

#: The columns of the RL export that are read (funreason_train/data/export/sharegpt.py).
COLUMNS = ("data_source", "prompt", "reward_model")
_ROLES = ("system", "user", "assistant", "tool")
_FORM = "A task has id, category, environment, config, tools and turns, as in RUN_DIR/synth/tasks"


@dataclass(frozen=True)
class Row:
    """One row of an RL parquet.

    Attributes:
        id: `extra_info.id`, or `row N` where there is none.
        source: Its `data_source`, the category of the tables.
        messages: The prompt; tool messages are merged already.
        truth: The reward's ground truth.
        gold: The gold answer as text, for the failure browser.
    """

    id: str
    source: str
    messages: tuple[Message, ...]
    truth: str
    gold: str


class RowGame(PlainGame):
    """A row as a `Game`: one completion, scored by the reward.

    Args:
        row: The row.
        options: Of `compute_score`.
    """

    def __init__(self, row: Row, options: Mapping[str, Any]) -> None:
        self._row, self._options = row, options
        self._completion: str | None = None
        self._stopped: str | None = None
        self.id = row.id

    @property
    def done(self) -> bool:
        """Whether the completion has come, or cannot come."""
        return self._completion is not None or self._stopped is not None

    def messages(self) -> list[Message]:
        """The row's prompt."""
        return list(self._row.messages)

    def receive(self, completion: str) -> None:
        """Takes the completion."""
        self._completion = completion

    def stop(self, reason: str, prompt: str) -> None:
        """See `Game`."""
        self._stopped = reason

    def record(self, asked: list[dict[str, Any]]) -> dict[str, Any]:
        """The row's verdict; see `play`. `score` is the reward, `right` whether the whole answer is."""
        score, right, reasons = 0.0, False, [self._stopped] if self._stopped else []
        responses: list[dict[str, Any]] = []
        if self._completion is not None:
            result = compute_score(self._row.source, self._completion, self._row.truth, **self._options)
            score, right = result["score"], result["acc"] == 1
            if not right:
                reason = reason_of(result)
                reasons = [f"malformed: {reason}" if reason in ERRORS else f"{reason}: reward {score:g}"]
            responses = [asked[-1] | {"completion": self._completion, "calls": [], "results": [], "ok": []}]
        user = next((m["content"] for m in reversed(self._row.messages) if m["role"] == "user"), "")
        turn = {"user": user, "gold": [self._row.gold], "reasons": reasons, "responses": responses}
        return {
            "id": self._row.id,
            "category": self._row.source,
            "right": right,
            "score": score,
            "reasons": [f"turn 0: {reason}" for reason in reasons],
            "turns": [turn],
            "unjudged": [],
        }


def play_rows(
    rows: Iterable[Row],
    generator: Generator,
    render: Render,
    encode: Encode,
    sampling: Sampling,
    options: Mapping[str, Any],
    concurrency: int,
) -> Iterator[dict[str, Any]]:
    """Completes rows and scores them; see `play`.

    Args:
        rows: What to complete.
        generator: The model.
        render: See `play`.
        encode: See `play`.
        sampling: How completions are drawn.
        options: Of the reward.
        concurrency: Most rows at a time.
    """
    games = (RowGame(row, options) for row in rows)
    return play(games, generator, render, encode, sampling, concurrency)


def is_rows(path: Path) -> bool:
    """Whether a file of tasks holds rows of an RL export; otherwise it holds executable tasks."""
    return path.suffix == ".parquet"


def read_rows(path: Path, options: Mapping[str, Any]) -> list[Row]:
    """All rows of an RL parquet.

    Raises:
        UserError: if it is not such a file, a row lacks something or cannot be scored, or two have one id.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"the parquet cannot be read ({' '.join(str(error).split())[:200]})",
            where=str(path),
            fix="Make it again with `funreason-train data`, which writes rl/val.parquet",
        ) from None
    if lacking := [name for name in COLUMNS if name not in table.column_names]:
        raise UserError(
            f"there is no column {', '.join(lacking)}",
            where=str(path),
            fix="Own tasks have the columns of the data stage's rl/*.parquet",
        )
    rows = [_row(number, value, path, options) for number, value in enumerate(table.to_pylist())]
    return _unique(rows, path)


def _row(number: int, value: Mapping[str, Any], path: Path, options: Mapping[str, Any]) -> Row:
    try:
        messages = [_message(message) for message in value["prompt"]]
        truth = value["reward_model"]["ground_truth"]
        calls = read_gold(truth).calls
        source = str(value["data_source"])
        given = value.get("extra_info")
        extra = given if isinstance(given, Mapping) else {}
        gold = render_calls(calls) if calls else str(extra.get("answer") or "(text, no call)")
    except MISSHAPEN as error:
        raise UserError(
            f"row {number} is not of the RL export's shape ({type(error).__name__}: {error})", where=str(path)
        ) from None
    if not messages:
        raise UserError(f"row {number} has an empty prompt", where=str(path))
    judged = compute_score(source, "", truth, **options)
    if judged["error"]:
        raise UserError(f"row {number} cannot be scored ({reason_of(judged)})", where=str(path))
    return Row(str(extra.get("id") or f"row {number}"), source, tuple(messages), truth, gold)


def _message(given: Any) -> Message:
    """A message of a prompt; tool messages are merged already.

    Raises:
        ValueError: if it is of nobody, or holds no text.
    """
    role, content = given["role"], given["content"]
    if role not in _ROLES or not isinstance(content, str):
        said = f"its prompt holds a message of {role!r:.40} with {type(content).__name__} as content"
        raise ValueError(f"{said}; there are {', '.join(_ROLES)}, and contents are texts")
    merged: Message = {"role": role, "content": MergedResults(content) if role == "tool" else content}
    return merged


def read_own_tasks(path: Path) -> list[Task]:
    """Executable tasks of the user, each played once with its gold calls, so that it is known to be playable.

    Raises:
        UserError: for the first line that is not a task of an existing environment.
    """
    tasks: list[Task] = []
    number = 0
    try:
        for number, task in numbered_tasks(path):  # noqa: B007 - an error names the line
            task.tool_docs()
            play_gold(task)
            tasks.append(task)
    except EnvironmentFailed as error:
        raise UserError(
            f"line {number}: its environment failed ({error})",
            where=str(path),
            fix="See that what the environment needs is there",
        ) from None
    except OSError as error:
        raise UserError(f"it cannot be read ({error.strerror})", where=str(path)) from None
    except UserError as error:
        raise UserError(f"line {number}: {error}", where=str(path)) from None
    except NotATask as error:
        raise UserError(str(error), where=str(path), fix=_FORM) from None
    except MISSHAPEN as error:
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"line {number} is not a task ({why})", where=str(path), fix=_FORM) from None
    return _unique(tasks, path)


def _unique(tasks: list[Any], path: Path) -> list[Any]:
    if not tasks:
        raise UserError("there is no task in it", where=str(path))
    refuse_twins(tasks, path)
    return tasks


def refuse_twins(tasks: Iterable[Any], path: Path) -> None:
    """Each task has to have an id of its own, by which its answers are told from others'.

    Raises:
        UserError: naming those that several have.
    """
    counts = Counter(task.id for task in tasks)
    if twice := [name for name, count in counts.items() if count > 1]:
        more = f" and {len(twice) - 3:,} more" if len(twice) > 3 else ""
        raise UserError(
            f"several tasks have the same id ({', '.join(twice[:3])}{more})",
            where=str(path),
            fix="Give each an id of its own",
        )
