"""Stateful tool environments behind one small interface, and the tasks that are played in them."""

from .base import Environment, State, ToolError, tool
from .play import Episode, Limits, Outcome, PlayedResponse, PlayedTurn, Policy, play
from .registry import ENVIRONMENTS, make_environment
from .tasks import GoldTurn, Task, TaskTurn, play_gold, read_tasks, write_tasks

__all__ = [
    "ENVIRONMENTS",
    "Environment",
    "Episode",
    "GoldTurn",
    "Limits",
    "Outcome",
    "PlayedResponse",
    "PlayedTurn",
    "Policy",
    "State",
    "Task",
    "TaskTurn",
    "ToolError",
    "make_environment",
    "play",
    "play_gold",
    "read_tasks",
    "tool",
    "write_tasks",
]
