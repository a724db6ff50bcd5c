"""Stateful tool environments behind one small interface, and the tasks that are played in them."""

from .base import Environment, State, ToolError, tool
from .play import Episode, Limits, Outcome, PlayedResponse, PlayedTurn, Policy, play
from .registry import ENVIRONMENTS, load_environments, make_environment, register_environment
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
    "load_environments",
    "make_environment",
    "play",
    "play_gold",
    "read_tasks",
    "register_environment",
    "tool",
    "write_tasks",
]
