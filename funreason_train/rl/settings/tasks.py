"""Executable tasks as rows of an RL file, and whether they can be played and judged."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ...calls import render_calls
from ...dialogue import render_target
from ...environments import Limits, Task, play
from ...errors import UserError
from ...reward.audit import Finding, source_of
from ...reward.sample import Audit, read_spread


def read_task(text: Any) -> Task:
    """The task in `extra_info.task` of a row.

    Raises:
        UserError: there is none, it is damaged, or this project has no such environment or tool.
    """
    if not isinstance(text, str):
        raise UserError("there is no executable task (extra_info.task)")
    try:
        task = Task.from_json(json.loads(text))
        if not task.turns:
            raise ValueError("it has no user turn")
        task.tool_docs()
    except UserError:
        raise
    except KeyError as error:
        raise UserError(
            f"the task cannot be read (it lacks {error.args[0]!r}, or its environment does)"
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the task cannot be read ({error})") from None
    return task


def flaw(task: Task) -> str:
    """Why the score of this task could not be trusted: its gold conversation is not right. Empty if it is."""
    gold = iter([answer for turn in task.turns for answer in (*map(render_calls, turn.steps), turn.text)])
    limits = Limits(responses=1 + max(len(turn.steps) for turn in task.turns))
    try:
        played = play(task, lambda _: render_target("", next(gold)), limits, "compact")
    except Exception as error:  # a task from a file may be broken in any way
        return f"it cannot be played ({type(error).__name__}: {error})"
    return "" if played.right else f"its gold calls do not solve it ({'; '.join(played.reasons)})"


def holds_tasks(file: Path) -> bool:
    """Whether a parquet file has the column of executable tasks, `extra_info.task`."""
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    try:
        names = parquet.ParquetFile(file, pre_buffer=False).schema_arrow
        return "extra_info" in names.names and names.field("extra_info").type.get_field_index("task") >= 0
    except (ArrowException, OSError, AttributeError):  # no parquet, or a column of another kind
        return False


def audit_tasks(file: Path, limit: int | None = None) -> Audit:
    """Plays the gold conversations of a file's tasks, each of which must score the most.

    Args:
        file: An RL export of executable tasks.
        limit: Look at so many rows, spread evenly over the file; None: all.

    Raises:
        UserError: if the file cannot be read, or lacks a column.
    """
    numbers, rows = read_spread(file, ["data_source", "extra_info"], limit)
    findings = []
    for number, row in zip(numbers, rows, strict=True):
        try:
            found = flaw(read_task((row["extra_info"] or {}).get("task")))
        except UserError as error:
            found = str(error)
        if found:
            findings.append(Finding(number, source_of(row), "gold", found))
    return Audit(file, len(rows), Counter(map(source_of, rows)), tuple(findings))
