"""Answers that a run has stored with their scores, one at a time: rollouts of RL and evaluation files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...environments.play import FAULT
from ...plain import is_finite
from ...run.files import MISSHAPEN
from ...run.paths import RunDir
from .asked import Asked, asked
from .scan import RunRecord


@dataclass(frozen=True)
class Stored:
    """One scored answer.

    Attributes:
        origin: What it belongs to: `rollouts`, or `eval MODEL`.
        where: File and line.
        row: Id of the row or task.
        category: Of the task.
        completion: What was written after the prompt; of an episode, its last answer.
        truth: The gold answer as the reward takes it; None where only an environment can tell.
        turns: Of an episode, the outcome of each user turn that was reached, as the reward takes them.
        score: As stored.
        reason: As stored.
        cut: It was cut off at its longest length, which is never right.
        expected: User turns of the whole task, reached or not; None where that is not known.
    """

    origin: str
    where: str
    row: str
    category: str
    completion: str
    truth: str | None
    turns: Sequence[Mapping[str, bool]] | None
    score: float
    reason: str
    cut: bool = False
    expected: int | None = None


#: Why a stored line is left out.
DAMAGED, UNSCORED = "their lines are damaged", "their lines hold no answer with a score"
OF_BFCL = "entries of BFCL, which its own checker judges"
CHANGED = "the rows that they were scored with have changed since"


def rollouts(run: RunDir) -> Iterator[Stored | str]:
    """The samples of `rl/rollouts/STEP.jsonl`, step by step; for a line that is none, why it is left out."""
    files = [file for file in (run.rl / "rollouts").glob("*.jsonl") if file.is_file()]
    files = [file for file in files if file.stem.isdecimal()]  # a copy beside it would count a step twice
    files.sort(key=lambda file: int(file.stem))
    for file in files:
        episode: list[tuple[int, dict[str, Any]]] = []
        for number, line in _lines(file):
            if line is None or "answer" not in line or not is_finite(line.get("score")):
                yield DAMAGED if line is None else UNSCORED
                continue
            if not isinstance(line.get("turn", 0), int | str) or ("turn" in line and None in _key(line)):
                yield DAMAGED  # without its ids, nobody knows which responses are one episode
                continue
            if "turn" not in line:
                yield _sample(file, number, line)
                continue
            if episode and _key(episode[-1][1]) != _key(line):
                yield _episode(file, episode)
                episode = []
            episode.append((number, line))
        if episode:
            yield _episode(file, episode)


def evaluations(record: RunRecord) -> Iterator[Stored | str]:
    """The tasks of every `eval/MODEL/…/episodes.jsonl`; for a line that is left out, why."""
    known: dict[Path, Asked] = {}
    for file in filter(Path.is_file, sorted((record.run.root / "eval").glob("*/**/episodes.jsonl"))):
        inside = file.relative_to(record.run.root / "eval").parts
        if "parts" in inside[1:]:  # of an evaluation that goes on; put together, it is read
            continue
        tasks: Asked | None = None  # read once a line needs them
        for number, line in _lines(file):
            if "bfcl" in inside[1:]:
                yield OF_BFCL
                continue
            if line is None or not isinstance(line.get("turns"), list):
                yield DAMAGED if line is None else UNSCORED
                continue
            if tasks is None:
                tasks = asked(record, file.parent, "score" in line, known)
            if tasks.changed and "score" in line:
                yield CHANGED
                continue
            try:
                yield _task(file, number, line, f"eval {inside[0]}", tasks)
            except MISSHAPEN:
                yield DAMAGED


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Number and object of each line; None for a line that is no object, as a crash can leave one."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, text in enumerate(lines, 1):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = None
            yield number, value if isinstance(value, dict) else None


def _sample(file: Path, number: int, line: Mapping[str, Any]) -> Stored:
    return Stored(
        origin="rollouts",
        where=f"{file.name}:{number}",
        row=str(line.get("row") or line.get("group") or ""),
        category=str(line.get("category") or "-"),
        completion=str(line["answer"]),
        truth=line["gold"] if isinstance(line.get("gold"), str) else None,
        turns=None,
        score=float(line["score"]),
        reason=str(line.get("reason") or "-"),
        cut=bool(line.get("cut")) or line.get("reason") == "over_long",
    )


def _key(line: Mapping[str, Any]) -> tuple[Any, Any]:
    return line.get("group"), line.get("sample")


def _episode(file: Path, lines: Sequence[tuple[int, Mapping[str, Any]]]) -> Stored:
    """A sample of several responses: each turn's outcome is that of its last one."""
    turns: dict[Any, Mapping[str, bool]] = {line["turn"]: _done(not line.get("reasons")) for _, line in lines}
    number, last = lines[-1]
    return Stored(
        origin="rollouts",
        where=f"{file.name}:{number}",
        row=str(last.get("row") or last.get("group") or ""),
        category=str(last.get("category") or "-"),
        completion=str(last["answer"]),
        truth=None,
        turns=list(turns.values()),
        score=float(last["score"]),
        reason=FAULT if last.get("environment_fault") else str(last.get("reason") or "-"),
    )


def _task(file: Path, number: int, line: Mapping[str, Any], origin: str, tasks: Asked) -> Stored:
    turns = [turn for turn in line["turns"] if isinstance(turn, Mapping)]
    responses = [one for turn in turns for one in turn.get("responses", ()) if isinstance(one, Mapping)]
    by_reward = "score" in line
    reasons = line.get("reasons") or ()
    score = float(line["score"]) if is_finite(line.get("score")) else float(bool(line.get("right")))
    return Stored(
        origin=origin,
        where=f"{file.parent.name}/{file.name}:{number}",
        row=str(line.get("id") or ""),
        category=str(line.get("category") or "-"),
        completion=str(responses[-1].get("completion", "")) if responses else "",
        truth=tasks.truths.get(str(line.get("id"))) if by_reward else None,
        turns=None if by_reward else [_done(not turn.get("reasons")) for turn in turns],
        score=score,
        reason="right" if line.get("right") else _kind(str(reasons[0])) if reasons else "-",
        # Right all the same, if all of it was there.
        cut=bool(responses) and responses[-1].get("finish") == "length" and not line.get("right"),
        expected=tasks.turns.get(str(line.get("id"))),
    )


def _kind(reason: str) -> str:
    """The kind of a stored reason, `turn 0: KIND: details`."""
    parts = [part.strip() for part in reason.split(":")]
    return parts[1] if len(parts) > 1 and parts[0].startswith("turn") else parts[0]


def _done(done: bool) -> Mapping[str, bool]:
    return {"state_equal": done, "results_seen": done}


def as_ground_truth(stored: Stored) -> str:
    """What a reward function is given; of an episode, which an environment has judged, one without calls."""
    return stored.truth if stored.truth is not None else json.dumps({"calls": [], "tools": []})
