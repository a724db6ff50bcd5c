"""An executable task as the conversation that solves it, played once so that every result is real."""

from __future__ import annotations

from collections.abc import Callable

from ..calls import Call
from ..dialogue import AssistantStep, Trajectory, Turn
from ..errors import UserError
from .protocol import brief
from .tasks import Task, play_gold

Think = Callable[[tuple[Call, ...], str], str]
"""A response, its calls or its text, to the thought before it."""


class GoldError(Exception):
    """A task has no gold conversation.

    Args:
        reason: `missing_field` (no user turn), `unplayable` or `gold_error`.
        detail: What exactly is wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


def gold_conversation(task: Task, think: Think = lambda *_: "") -> Trajectory:
    """A task as its gold conversation, executed.

    Args:
        task: The task.
        think: What comes before a response.

    Returns:
        The conversation; `meta["task"]` is the task itself.

    Raises:
        GoldError: the task has no turn, its environment cannot play it, or a gold call fails.
        KeyError: a tool that its environment lacks.
    """
    try:
        tools = tuple(task.tool_docs())
    except (KeyError, UserError):
        raise
    except Exception as error:  # an environment is anybody's
        raise GoldError("unplayable", _fault(task, "cannot say which tools it has", error)) from None
    if not task.turns:
        raise GoldError("missing_field", "the task has no user turn")
    try:
        played = play_gold(task)
    except UserError:
        raise
    except Exception as error:
        raise GoldError("unplayable", _fault(task, "cannot be played", error)) from None
    turns = []
    for turn, gold in zip(task.turns, played, strict=True):
        steps = []
        for calls, results in zip(turn.steps, gold.results, strict=True):
            for call, result in zip(calls, results, strict=True):
                if not result.ok:
                    raise GoldError("gold_error", f"{call.name}: {result.text[:200]}")
            texts = tuple(result.text for result in results)
            steps.append(AssistantStep(think(calls, ""), calls, "", texts))
        steps.append(AssistantStep(think((), turn.text), text=turn.text))
        turns.append(Turn(turn.user, tuple(steps)))
    meta = {"category": task.category, "environment": task.environment, "task": task.to_json()}
    return Trajectory(task.id, "tasks", tools, tuple(turns), meta=meta)


def _fault(task: Task, what: str, error: Exception) -> str:
    return f"the environment {task.environment:.60} {what} ({type(error).__name__}: {brief(error, 300)})"
