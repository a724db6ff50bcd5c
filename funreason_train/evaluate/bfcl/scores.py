"""From BFCL verdicts to the figures of `scores.json`: categories, the paper's columns, paired differences."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...pages.statistics import Difference, mean_share, paired_difference
from ..attempts import Attempts, Tries, over_seeds
from .columns import COLUMNS, Column, column_value, missing

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Category to the rows of its file; see `run`."""

_FIELDS = {"id": str, "category": str, "right": bool, "reasons": list, "completions": list}


def read_rows(folder: Path, categories: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The finished results of one attempt of one model.

    Args:
        folder: As `run_bfcl` wrote it.
        categories: Those that were run.

    Raises:
        UserError: if a file is missing or damaged.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for category in categories:
        path = folder / f"{category}.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").split("\n")  # a text may hold other ends of lines
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(path, f"cannot be read ({error})") from None
        found[category] = [_row(path, number, line) for number, line in enumerate(lines, 1) if line]
        if len({row["id"] for row in found[category]}) < len(found[category]):
            raise _damaged(path, "holds an entry twice")
    return found


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        raise _damaged(path, f"line {number} is not JSON") from None
    wrong = [
        key for key, kind in _FIELDS.items() if not isinstance(row, dict) or type(row.get(key)) is not kind
    ]
    if wrong:
        raise _damaged(path, f"line {number} lacks {', '.join(wrong)}")
    return dict(row)


def _damaged(path: Path, what: str) -> UserError:
    return UserError(
        f"these BFCL results are damaged: the file {what}",
        where=str(path),
        fix="Delete the file, and its entries are run again; or start afresh with restart=eval",
    )


def read_info(folder: Path) -> dict[str, Any] | None:
    """The `info.json` of finished results, or None if there is none yet.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / "info.json"
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        str(value["bfcl_version"]), dict(value["not_run"]), list(value["categories"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path, "does not describe a BFCL run") from None
    return dict(value)


def tries_of(played: Sequence[Rows]) -> dict[str, dict[str, list[bool]]]:
    """Category to entry id to its verdicts, one an attempt.

    Raises:
        UserError: if the attempts do not have the same entries.
    """
    found: dict[str, dict[str, list[bool]]] = {}
    for rows in played:
        for category, part in rows.items():
            for row in part:
                found.setdefault(category, {}).setdefault(row["id"], []).append(row["right"])
    for category, entries in found.items():
        if any(len(verdicts) != len(played) for verdicts in entries.values()):
            raise UserError(
                f"the attempts do not have the same entries of {category}",
                fix="Run the evaluation again with restart=eval",
            )
    return found


def score(
    tries: Mapping[str, Tries], attempts: Attempts, not_run: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """The figures of one model.

    Args:
        tries: Category to entry id to verdicts.
        attempts: Which attempts they are.
        not_run: Category to the reason, for those that could not run.

    Returns:
        `categories` (see `Attempts.figures`) and `columns`: column to `{"value", "ci95"}` (0..1), with
        several attempts also `pass_at_k` and `seeds`; or `{"not_run": [reasons]}` unless all its categories
        were run.
    """
    columns: dict[str, Any] = {}
    for column in COLUMNS:
        if lacking := missing(column, tries):
            columns[column.key] = {
                "not_run": [f"{name}: {not_run.get(name, 'not asked for')}" for name in lacking]
            }
        else:
            columns[column.key] = _column(column, {name: tries[name] for name in column.weights}, attempts)
    return {
        "columns": columns,
        "categories": {name: attempts.figures(part) for name, part in tries.items()},
    }


def _column(column: Column, tries: Mapping[str, Tries], attempts: Attempts) -> dict[str, Any]:
    count = len(attempts.all)

    def estimate(values: Mapping[str, Mapping[str, float]]) -> Difference:
        return column_value(column, values, lambda name: mean_share([*values[name].values()], count))

    def figure(values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        found = estimate(values)
        return {"value": found.mean, "ci95": [found.low, found.high]}

    result = figure({name: attempts.means(part) for name, part in tries.items()})
    if attempts.pass_k:
        result["pass_at_k"] = {
            str(k): figure({name: attempts.passes(part, k) for name, part in tries.items()})
            for k in attempts.pass_k
        }
    if len(attempts.seeds) > 1:
        parts = [
            estimate({name: attempts.of_seed(part, number) for name, part in tries.items()}).mean
            for number in range(len(attempts.seeds))
        ]
        result["seeds"] = over_seeds(attempts.seeds, parts)
    return result


def difference(
    earlier: Mapping[str, Tries], later: Mapping[str, Tries], attempts: Attempts
) -> dict[str, dict[str, Any]]:
    """How much better the later model is, on the same entries: `{"columns", "categories"}`, each name to
    `{"value", "ci95"}`; only what both have in full.

    Raises:
        UserError: if the two did not run the same entries of a category.
    """
    count = len(attempts.all)
    before = {name: attempts.means(part) for name, part in earlier.items() if name in later}
    after = {name: attempts.means(later[name]) for name in before}
    changes: dict[str, dict[str, float]] = {}
    parts: dict[str, Difference] = {}
    for name in before:
        if before[name].keys() != after[name].keys():
            raise UserError(
                f"the models did not run the same entries of {name}",
                fix="Evaluate them again with one limit=, or with restart=eval",
            )
        order = sorted(before[name])
        changes[name] = {entry: after[name][entry] - before[name][entry] for entry in order}
        values = [before[name][entry] for entry in order], [after[name][entry] for entry in order]
        parts[name] = paired_difference(*values, count)
    columns = {
        column.key: column_value(column, changes, parts.__getitem__)
        for column in COLUMNS
        if not missing(column, changes)
    }
    return {
        kind: {name: {"value": found.mean, "ci95": [found.low, found.high]} for name, found in named.items()}
        for kind, named in (("columns", columns), ("categories", parts))
    }


def reasons(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How often each kind of first reason occurs among wrong rows, the most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        if not row["right"]:
            first = str(row["reasons"][0]) if row["reasons"] else "no reason given"
            kind = re.sub(r"^turn \d+: ", "", first).split(": ")[0][:80]
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
