"""Which tools to aim at: all in turn, those of a file, or those that a model gets wrong."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UserError

_CALLED = re.compile(r"(?:missing_result|needless_call): \[?([\w.]+)\(")


def read_targets(path: str, tools: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """The targets that a file names, by environment.

    Args:
        path: A text file with one tool a line (`TOOL` or `ENVIRONMENT:TOOL`), or JSON lines: failures of an
            evaluation or rollouts of RL, of which the tools of the gold calls count, each as often as it was
            got wrong.
        tools: Environment -> its tools.

    Returns:
        Environment -> tools, each once for every time that it is to come up.

    Raises:
        UserError: the file is not there, cannot be read, or names no tool of these environments.
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the targets cannot be read ({error})", where=str(file)) from None
    counts: Counter[str] = Counter()
    for number, text in enumerate(filter(str.strip, lines), 1):
        if text.lstrip().startswith(("{", "[")):
            try:
                counts.update(_wanted(json.loads(text)))
            except (ValueError, RecursionError):
                raise UserError(f"line {number} is not JSON", where=str(file)) from None
            except (AttributeError, TypeError):
                raise UserError(
                    f"line {number} is neither a failure of an evaluation nor a rollout",
                    where=str(file),
                    fix="Write one tool a line, or give failures.jsonl of an evaluation",
                ) from None
        else:
            counts[text.strip()] += 1
    found: dict[str, list[str]] = {}
    for name, known in tools.items():
        chosen = [tool for tool in known for _ in range(counts[tool] + counts[f"{name}:{tool}"])]
        if chosen:
            found[name] = chosen
    if not found:
        raise UserError(
            "no tool of these environments is named",
            where=str(file),
            fix=f"Write one a line, for example {next(iter(next(iter(tools.values()), ('TOOL',))))}",
        )
    return found


def _wanted(row: Any) -> list[str]:
    """The tools of the gold calls of what was got wrong; of any other row every call that it holds."""
    if isinstance(row, Mapping):
        if row.get("right") is True or row.get("score") == 1:
            return []
        if isinstance(
            row.get("turns"), list
        ):  # an evaluation's record: what was missed stands in the reasons
            reasons = [str(reason) for turn in row["turns"] for reason in turn.get("reasons", ())]
            return [name for reason in reasons for name in _CALLED.findall(reason)]
        gold = next((row[key] for key in ("gold", "ground_truth", "task", "missing") if row.get(key)), row)
        return _names(json.loads(gold) if isinstance(gold, str) and gold.lstrip()[:1] in "[{" else gold)
    return _names(row)


def _names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("arguments"), Mapping):
            return [value["name"]]
        return [name for one in value.values() for name in _names(one)]
    if isinstance(value, (list, tuple)):
        return [name for one in value for name in _names(one)]
    return []
