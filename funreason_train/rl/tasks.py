"""Executable tasks as rows of an RL file, and whether they can be played and judged (pure)."""

from __future__ import annotations

import json
from typing import Any

from ..calls import render_calls
from ..dialogue import render_target
from ..environments import Limits, Task, play
from ..errors import UserError


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
