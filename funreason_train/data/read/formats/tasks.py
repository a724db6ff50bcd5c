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
from typing import Any

from ....dialogue import Trajectory
from ....environments import Task, make_environment
from ....environments.gold import GoldError, gold_conversation
from ....errors import UserError
from ..json_text import loads
from ..rows import RowError

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
        value.setdefault("category", "own")
        if not value.get("tools"):
            value["tools"] = [tool["name"] for tool in make_environment(value["environment"]).tools()]
        return gold_conversation(Task.from_json(value))
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
