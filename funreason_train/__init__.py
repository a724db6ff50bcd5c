"""funreason-train: from a base model to a multi-turn function-calling model with the FunReason-MT recipe.

The public names, and the only ones that stay what they are between versions; everything else is private. They
are loaded when they are first used, so `import funreason_train` costs nothing.

    from funreason_train import Environment, register_environment, tool     # an environment of your own
    from funreason_train import compute_score, match_calls, parse_calls     # the reward and the call language
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calls import Call, CallSyntaxError, Match, match_calls, parse_calls, render_calls
    from .dialogue import Completion, Trajectory, read_completion, render_prompt
    from .environments import (
        Environment,
        Result,
        TableWorld,
        Task,
        ToolError,
        play,
        register_environment,
        tool,
    )
    from .errors import Problem, UserError
    from .reward import compute_score
    from .run.paths import RunDir
    from .run.stage import Stage
    from .settings import load_settings

__version__ = "0.1.0"

__all__ = [
    "Call",
    "CallSyntaxError",
    "Completion",
    "Environment",
    "Match",
    "Problem",
    "Result",
    "RunDir",
    "Stage",
    "TableWorld",
    "Task",
    "ToolError",
    "Trajectory",
    "UserError",
    "compute_score",
    "load_settings",
    "match_calls",
    "parse_calls",
    "play",
    "read_completion",
    "register_environment",
    "render_calls",
    "render_prompt",
    "tool",
]

#: Where each name lives.
_HOMES = {
    "calls": ("Call", "CallSyntaxError", "Match", "match_calls", "parse_calls", "render_calls"),
    "dialogue": ("Completion", "Trajectory", "read_completion", "render_prompt"),
    "environments": (
        "Environment",
        "Result",
        "TableWorld",
        "Task",
        "ToolError",
        "play",
        "register_environment",
        "tool",
    ),
    "errors": ("Problem", "UserError"),
    "reward": ("compute_score",),
    "run.paths": ("RunDir",),
    "run.stage": ("Stage",),
    "settings": ("load_settings",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
