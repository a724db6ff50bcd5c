"""Episodes on disk, and what follows from them: scores and failures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..run.files import read_json, read_lines, write_json, write_text
from .attempts import Attempts
from .play import dump

FORMAT = 1
"""Of `scores.json`; another number wherever what a field means has changed."""


def read_scores(folder: Path) -> dict[str, Any]:
    """A model's `scores.json`.

    Raises:
        UserError: it was written by another version, or cannot be read.
    """
    path = folder / "scores.json"
    try:
        found = dict(read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"the scores cannot be read ({error})", where=str(path), fix=_AGAIN) from None
    if found.get("format") != FORMAT:
        raise UserError(
            f"the scores were written in format {found.get('format')}, and this version reads {FORMAT}",
            where=str(path),
            fix=_AGAIN,
        )
    return found


_AGAIN = "Run the evaluation again with restart=eval, which keeps the old results under old/"


def finished(parts: Path) -> dict[str, dict[str, Any]]:
    """The episodes written so far, by task id; a line cut off by a crash is passed over.

    One whose environment failed stands only where it was not played again since, and well.
    """
    rows = [row for path in sorted(parts.glob("*.jsonl")) for row in read_lines(path)]
    rows.sort(key=lambda row: "fault" not in row)
    return {row["id"]: row for row in rows}


def faults(played: Iterable[Iterable[Mapping[str, Any]]]) -> dict[str, str]:
    """Task id to why its environment failed, of tasks in which that happened in any attempt."""
    return {row["id"]: str(row["fault"]) for rows in played for row in rows if "fault" in row}


def end_last_line(parts: Path) -> None:
    """Ends a line that a crash cut off, so that what is appended next starts on its own line."""
    for path in parts.glob("*.jsonl"):
        with path.open("rb+") as file:
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")


def take_over(parts: Path, root: Path) -> None:
    """Takes over what the same model has answered under another name, as a copy of its folder has.

    Args:
        parts: Where a model's finished episodes belong; its name is what they depend on. Left as it is if
            it exists.
        root: The folder of all models' results.
    """
    if parts.exists():
        return
    found = [other for depth in ("*", "*/*") for other in root.glob(f"{depth}/parts/{parts.name}")]
    counted = [(len(finished(other)), other) for other in sorted(found)]
    rows, other = max(counted, default=(0, parts))
    if not rows:
        return
    print(f"{rows:,} answers are those of the same model in {other.parent.parent}", flush=True)
    unfinished = parts.with_name(f".{parts.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(other, unfinished)
    unfinished.rename(parts)


def score(played: Sequence[Sequence[Mapping[str, Any]]], attempts: Attempts) -> dict[str, Any]:
    """The figures over all tasks (see `Attempts.figures`) and in each of `categories`, and token counts.

    Args:
        played: The rows of each attempt, all with the same tasks.
        attempts: Which attempts they are.
    """
    categories: dict[str, dict[str, list[bool]]] = {}
    for rows in played:
        for row in rows:
            categories.setdefault(row["category"], {}).setdefault(row["id"], []).append(bool(row["right"]))
    everything = {name: verdicts for part in categories.values() for name, verdicts in part.items()}
    responses = [
        response for rows in played for row in rows for turn in row["turns"] for response in turn["responses"]
    ]
    return {
        **attempts.figures(everything),
        "categories": {name: attempts.figures(part) for name, part in sorted(categories.items())},
        "responses": len(responses),
        "tokens": sum(response["tokens"] for response in responses),
        "cut_off": sum(response["finish"] == "length" for response in responses),
    }


def failure(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a person needs to see of a failed episode: what went wrong first, and what was asked there.

    Returns:
        `{"id", "category", "wrong", "turn", "user", "gold", "completions", "results", "prompt"}` of the first
        turn that is not right; the prompt is that turn's last one.
    """
    turns = row["turns"]
    number = next((n for n, turn in enumerate(turns) if turn["reasons"]), len(turns) - 1)
    turn: Mapping[str, Any] = turns[number] if turns else {"user": "", "gold": [], "responses": []}
    responses = turn["responses"]
    return {
        "id": row["id"],
        "category": row["category"],
        "wrong": row["reasons"][0] if row["reasons"] else "",
        "turn": number,
        "user": turn["user"],
        "gold": turn["gold"],
        "completions": [response["completion"] for response in responses],
        "results": [response["results"] for response in responses],
        "prompt": responses[-1]["prompt"] if responses else "",
    }


def reasons(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How often each kind of first reason occurs (`needless_call`, …), the most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        if row["reasons"]:
            _, _, reason = row["reasons"][0].partition(": ")
            kind, _, detail = reason.partition(": ")
            kind = f"{kind}: {detail}" if kind == "malformed" else kind  # whose details are few and fixed
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def write(
    folder: Path,
    played: Sequence[Sequence[Mapping[str, Any]]],
    attempts: Attempts,
    provenance: Mapping[str, Any],
    broken: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Writes `episodes.jsonl`, `failures.jsonl` and, last, `scores.json`; returns the scores.

    Args:
        folder: The model's own.
        played: All episodes of each attempt, in the order of the task file.
        attempts: Which attempts they are; if there are several, each row tells its `seed` and `sample`.
        provenance: What else the scores say: model, fingerprints, settings, seconds.
        broken: Tasks whose environment failed, with any of the models: they are no part of a score, so that
            all models are compared on the same tasks; `broken.jsonl` keeps what was played of them.
    """
    broken = broken or {}
    (folder / "scores.json").unlink(missing_ok=True)  # which are of other episodes than those that come now
    apart = [row for rows in played for row in rows if row["id"] in broken]
    write_text(folder / "broken.jsonl", "".join(dump(dict(row)) for row in apart))
    played = [[row for row in rows if row["id"] not in broken] for rows in played]
    several = len(attempts.all) > 1
    marks = [{"seed": one.seed, "sample": one.sample} if several else {} for one in attempts.all]
    episodes = [{**row, **mark} for mark, rows in zip(marks, played, strict=True) for row in rows]
    wrong = [row for row in episodes if not row["right"]]
    write_text(folder / "episodes.jsonl", "".join(map(dump, episodes)))
    failures = ({**failure(row), **_mark(row)} for row in wrong)
    write_text(folder / "failures.jsonl", "".join(map(dump, failures)))
    figures = score(played, attempts) | ({"broken_tasks": len(broken)} if broken else {})
    scores = {"format": FORMAT, **figures, "wrong_because": reasons(wrong), **provenance}
    write_json(folder / "scores.json", scores)
    return scores


def _mark(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("seed", "sample") if key in row}


def verdicts(path: Path) -> dict[str, float]:
    """Task id to the share of its attempts that are right (0 or 1 with one), from an `episodes.jsonl`."""
    found: dict[str, list[bool]] = {}
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            found.setdefault(row["id"], []).append(bool(row["right"]))
    return {name: sum(parts) / len(parts) for name, parts in found.items()}
