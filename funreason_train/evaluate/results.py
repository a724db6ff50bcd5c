"""Episodes on disk, and what follows from them: scores and failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..run.paths import write_json, write_text
from .heldout import dump
from .statistics import wilson


def finished(parts: Path) -> dict[str, dict[str, Any]]:
    """The episodes written so far, by task id; a line cut off by a crash is passed over."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(parts.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                found[row["id"]] = row
    return found


def mend_parts(parts: Path) -> None:
    """Ends a line that a crash cut off, so that what is appended next starts on its own line."""
    for path in parts.glob("*.jsonl"):
        with path.open("rb+") as file:
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")


def score(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`accuracy`, `right`, `tasks`, `ci95` (Wilson) over all rows, and the same for each of `categories`."""
    categories: dict[str, list[bool]] = {}
    for row in rows:
        categories.setdefault(row["category"], []).append(bool(row["right"]))
    responses = [response for row in rows for turn in row["turns"] for response in turn["responses"]]
    return {
        **_share([bool(row["right"]) for row in rows]),
        "categories": {name: _share(verdicts) for name, verdicts in sorted(categories.items())},
        "responses": len(responses),
        "tokens": sum(response["tokens"] for response in responses),
        "cut_off": sum(response["finish"] == "length" for response in responses),
    }


def _share(verdicts: Sequence[bool]) -> dict[str, Any]:
    right, tasks = sum(verdicts), len(verdicts)
    return {
        "accuracy": right / tasks if tasks else 0.0,
        "right": right,
        "tasks": tasks,
        "ci95": list(wilson(right, tasks)),
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
            _, kind, detail = row["reasons"][0].split(": ", 2)
            kind = f"{kind}: {detail}" if kind == "malformed" else kind  # whose details are few and fixed
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def write(folder: Path, rows: Sequence[Mapping[str, Any]], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Writes `episodes.jsonl`, `failures.jsonl` and, last, `scores.json`; returns the scores.

    Args:
        folder: The model's own.
        rows: All episodes, in the order of the task file.
        provenance: What else the scores say: model, fingerprints, settings, seconds.
    """
    wrong = [row for row in rows if not row["right"]]
    write_text(folder / "episodes.jsonl", "".join(dump(dict(row)) for row in rows))
    write_text(folder / "failures.jsonl", "".join(dump(failure(row)) for row in wrong))
    scores = {**score(rows), "wrong_because": reasons(wrong), **provenance}
    write_json(folder / "scores.json", scores)
    return scores


def verdicts(path: Path) -> dict[str, bool]:
    """Task id to verdict, from an `episodes.jsonl`."""
    with path.open(encoding="utf-8") as file:
        return {row["id"]: bool(row["right"]) for row in map(json.loads, file)}
