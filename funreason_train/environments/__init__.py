"""Stateful tool environments behind one small interface, and the tasks that are played in them."""

from .faults import EnvironmentFailed
from .play import FAULT, Episode, Limits, Outcome, PlayedResponse, PlayedTurn, Policy, play
from .protocol import Environment, Result
from .registry import (
    ENVIRONMENTS,
    configured_environment,
    environment_class,
    load_environments,
    loading_problems,
    make_environment,
    module_files,
    played_environment,
    register_environment,
    register_family,
)
from .schemas import Between
from .tables import TableWorld
from .tasks import GoldTurn, Task, TaskTurn, play_gold, read_tasks, write_tasks
from .tools import ToolError, tool

__all__ = [
    "ENVIRONMENTS",
    "FAULT",
    "Between",
    "Environment",
    "EnvironmentFailed",
    "Episode",
    "GoldTurn",
    "Limits",
    "Outcome",
    "PlayedResponse",
    "PlayedTurn",
    "Policy",
    "Result",
    "TableWorld",
    "Task",
    "TaskTurn",
    "ToolError",
    "configured_environment",
    "environment_class",
    "load_environments",
    "loading_problems",
    "make_environment",
    "module_files",
    "play",
    "play_gold",
    "played_environment",
    "read_tasks",
    "register_environment",
    "register_family",
    "tool",
    "write_tasks",
]
