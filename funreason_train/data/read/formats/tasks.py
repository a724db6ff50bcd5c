"""Executable tasks of your own: what RL plays in environments, in this project's or in BFCL's.

Row: `{"id", "category", "environment", "config", "tools", "turns": [{"user", "steps", "text"}]}`, one a line
of a JSONL file or a parquet row, as `environments.tasks.Task` has it and RUN_DIR/synth/tasks/*.jsonl shows:

- `environment`: `shop`, `travel`, `helpdesk`, or BFCL's, `bfcl/TicketAPI`, `bfcl/GorillaFileSystem+MathAPI`;
- `config`: the initial state; for BFCL's what it calls `initial_config`, class -> scenario;
- `tools`: the offered functions' names in order; left out, all of the environment;
- `steps`: the gold calls of each response to the user's message, `[[{"name", "arguments"}, …], …]`; empty
  where text is right;
- `text`: the reply that ends the turn.

A parquet row may hold `config`, `tools` and `turns` as JSON text. The gold is played: a task is kept only if
the environment answers every gold call without an error. SFT's rows made from it have no thought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....dialogue import Trajectory
from ....environments import Task, played_environment
from ....environments.gold import GoldError, gold_conversation
from ....environments.tasks import leave
from ....errors import UserError
from ..conversation.calls import read_calls
from ..fields import blank, unread
from ..json_text import loads
from ..rows import RowError

_FIELDS = frozenset({"id", "category", "environment", "config", "tools", "turns"})
_OF_TURNS = frozenset({"user", "steps", "text"})
_NESTED = ("config", "tools", "turns")  # what a parquet row may hold as JSON text


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One task as a conversation with the environment's answers.

    Args:
        row: The row.
        options: The data set's node of the config; nothing in it is read.

    Raises:
        RowError: the row is not a task, it cannot be played, or its gold fails.
    """
    if not isinstance(row, Mapping):
        raise RowError("row_shape", f"the row is a {type(row).__name__}, not an object")
    value = dict(row)
    try:
        value |= {key: loads(value[key]) for key in _NESTED if isinstance(value.get(key), str)}
        flags = unread("row", value, _FIELDS)
        value["turns"] = [_turn(one, flags) for one in _list(value["turns"], "turns")]
        if blank(value.get("category")):
            value["category"] = "own"
        if blank(value.get("config")):
            value["config"] = {}
        _texts(value, "id", "category", "environment")
        if blank(value.get("tools")):
            value["tools"] = _every_tool(value["environment"])
        found = gold_conversation(Task.from_json(value))
        return replace(found, meta={**found.meta, "flags": flags}) if flags else found
    except GoldError as error:
        raise RowError(error.reason, error.detail) from None
    except UserError as error:
        raise RowError("unplayable", str(error)) from None
    except KeyError as error:
        raise RowError(
            "missing_field", f"the task lacks {error.args[0]!r}, or its environment does"
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise RowError("row_shape", f"the row is not a task ({type(error).__name__}: {error})") from None


def _every_tool(name: str) -> list[str]:
    """The names of all of an environment's tools.

    Raises:
        UserError: there is no environment of that name.
        RowError: `unplayable` if it cannot say.
    """
    try:
        environment = played_environment(name)
        try:
            return [tool["name"] for tool in environment.tools()]
        finally:
            leave(environment)
    except UserError:
        raise
    except Exception as error:  # the class is anybody's
        detail = f"the environment {name:.60} cannot say which tools it has ({type(error).__name__}: {error})"
        raise RowError("unplayable", detail[:300]) from None


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RowError("row_shape", f"the row is not a task: {what} is a {type(value).__name__}, not a list")
    return value


def _texts(holder: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if not isinstance(holder[key], str):
            raise RowError(
                "row_shape", f"the row is not a task: {key} is a {type(holder[key]).__name__}, not a text"
            )


def _turn(turn: Any, flags: list[str]) -> dict[str, Any]:
    """One turn; its calls are read as everywhere, so that nothing in them is passed over.

    Raises:
        RowError: `row_shape`, or as `read_calls`.
        KeyError: a field is missing.
    """
    if not isinstance(turn, Mapping):
        raise RowError(
            "row_shape", f"the row is not a task: a turn is a {type(turn).__name__}, not an object"
        )
    flags += unread("turn", turn, _OF_TURNS)
    steps = [[call.to_json() for call in read_calls(step)] for step in _list(turn["steps"], "steps")]
    _texts(turn, "user", "text")
    return {"user": turn["user"], "steps": steps, "text": turn["text"]}
