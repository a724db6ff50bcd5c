"""What a row of the stage synth holds beside its messages, under the key `synth`.

- `category`, `environment`: for tables;
- `kinds`: `TURN.RESPONSE` -> the kind of response;
- `demonstration`: `TURN.RESPONSE` -> `{"thought", "calls", "text"}`, what SFT imitates instead of the gold
  response;
- `untrained`: `TURN.RESPONSE` of the responses that are history alone: mistakes, recovered from later;
- `task`: the conversation as an executable task (`environments.Task.to_json`), which RL can play.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ....dialogue import Turn
from ....environments import Task
from ..fields import unread
from ..rows import RowError

_WORDS = ("category", "environment")
_FIELDS = frozenset((*_WORDS, "kinds", "demonstration", "untrained", "task"))


def made(value: Any, turns: Sequence[Turn]) -> dict[str, Any]:
    """The part of a trajectory's `meta` that a row of the stage synth brings along; empty for any other row.

    Args:
        value: What stands under the key `synth`.
        turns: The row's conversation, which kinds, demonstration and task must fit.

    Raises:
        RowError: `row_shape` for a part that does not have its form or does not fit the conversation.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RowError("row_shape", f"the row's synth is a {type(value).__name__}, not an object")
    places = {f"{number}.{place}" for number, turn in enumerate(turns) for place in range(len(turn.steps))}
    meta: dict[str, Any] = {key: str(value[key]) for key in _WORDS if key in value}
    for key, fits in (("kinds", _is_text), ("demonstration", _is_response)):
        found = value.get(key, {})
        if not isinstance(found, Mapping) or not all(map(fits, found.values())):
            raise RowError("row_shape", f"the row's synth.{key} does not have its form")
        if strange := sorted(set(found) - places):
            raise RowError(
                "row_shape", f"the row's synth.{key} speaks of response {strange[0]}, which is not there"
            )
        meta[key] = dict(found)
    if (apart := value.get("untrained")) is not None:
        if not isinstance(apart, list) or not set(map(str, apart)) <= places:
            raise RowError("row_shape", "the row's synth.untrained does not have its form")
        meta["untrained"] = list(map(str, apart))
    if value.get("task") is not None:
        meta["task"] = _task(value["task"], turns, meta.get("untrained", ()))
    if flags := unread("made", value, _FIELDS):
        meta["flags"] = flags
    return meta


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_response(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) != {"thought", "calls", "text"}:
        return False
    calls = value["calls"]
    return (
        isinstance(value["thought"], str)
        and isinstance(value["text"], str)
        and isinstance(calls, list)
        and all(
            isinstance(call, Mapping)
            and set(call) == {"name", "arguments"}
            and isinstance(call.get("name"), str)
            and isinstance(call.get("arguments"), Mapping)
            for call in calls
        )
        and bool(calls or value["text"])
    )


def _task(value: Any, turns: Sequence[Turn], untrained: Collection[str]) -> dict[str, Any]:
    """The task, if it is one and its gold is the conversation's."""
    try:
        task = Task.from_json(value)
        gold = [(turn.user, [calls for calls in turn.steps if calls]) for turn in task.turns]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        detail = f"the row's synth.task is not a task ({type(error).__name__}: {error})"
        raise RowError("row_shape", detail) from None
    shown = []
    for number, turn in enumerate(turns):
        steps = [
            step.calls
            for place, step in enumerate(turn.steps)
            if step.calls and f"{number}.{place}" not in untrained
        ]
        shown.append((turn.user, steps))
    if gold != shown:
        raise RowError("row_shape", "the row's synth.task has other messages or calls than the conversation")
    if task.to_json() != value:
        raise RowError("row_shape", "the row's synth.task holds more than a task does")
    return dict(value)
