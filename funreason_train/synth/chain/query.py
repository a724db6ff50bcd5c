"""What a query has to satisfy, decided by code and not by whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .needs import Given, Needs

_COMMON = 2  # characters of a value that any text may hold by chance


@dataclass(frozen=True)
class Queries:
    """The user's words for a turn.

    Attributes:
        hard: Needs the advanced tool: says what is wanted, and none of the steps.
        easy: Names each step.
    """

    hard: str
    easy: str


def query_problems(text: str, needs: Needs, left_out: Iterable[Given] = (), hard: bool = True) -> list[str]:
    """Why a text cannot be the query of a trace; empty if it can.

    Args:
        text: What the user says.
        needs: What the trace needs and finds out.
        left_out: What the user does not tell yet, which must not be in it.
        hard: Whether the steps have to be hidden.

    Returns:
        `query_lacks_value: NAME`, `query_names_tool: TOOL`, `query_gives_value_away: VALUE`,
        `query_tells_left_out: NAME`.
    """
    apart = list(left_out)
    found = []
    for one in needs.given:
        name, value = one.shown
        if one not in apart and not says(text, value):
            found.append(f"query_lacks_value: {name}")
    told = [one.shown[1] for one in needs.given if one not in apart]
    for one in apart:
        if says(text, one.value) and one.value not in told:
            found.append(f"query_tells_left_out: {one.parameter}")
    if not hard:
        return found
    for name in dict.fromkeys(executed.call.name for executed in needs.trace):
        if names_tool(text, name):
            found.append(f"query_names_tool: {name}")
    for value in needs.derived:
        if len(str(value)) > _COMMON and not any(says(str(one), value) for one in told) and says(text, value):
            found.append(f"query_gives_value_away: {value}")
    return found


def says(text: str, value: Any) -> bool:
    """Whether a text holds a value: a text or number as a whole word, of a list every item."""
    if isinstance(value, bool):
        return (
            re.search(r"\b(yes|true|on|with)\b" if value else r"\b(no|not|false|off|without)\b", text, re.I)
            is not None
        )
    if isinstance(value, (list, tuple)):
        return all(says(text, one) for one in value)
    shown = written(value)
    if not shown:
        return True
    at = text.find(shown)
    while at >= 0:
        if _stands_alone(text, shown, at):
            return True
        at = text.find(shown, at + 1)
    return False


def _stands_alone(text: str, shown: str, at: int) -> bool:
    """Whether what stands at a place is a whole word or number, and not a part of one."""
    before, after = text[at - 1 : at], text[at + len(shown) :][:2]
    if shown[0].isalnum() and (before == "." or before == "_" or before.isalnum()):
        return False
    if not shown[-1].isalnum():
        return True
    return not (after[:1] == "_" or after[:1].isalnum() or (after[:1] == "." and after[1:].isdigit()))


def written(value: Any) -> str:
    """A scalar as a text shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)


@lru_cache(maxsize=4096)
def _tool_pattern(tool: str) -> re.Pattern[str]:
    single = re.fullmatch(r"[A-Za-z]+", tool) is not None and not re.search(r"[a-z][A-Z]", tool)
    end = r"\s*\(" if single else r"(?!\w)"  # a single word may stand in any sentence
    return re.compile(rf"(?<!\w){re.escape(tool)}{end}")


def names_tool(text: str, tool: str) -> bool:
    """Whether a text names a tool as such: its identifier, or any name that is called in it."""
    return tool in text and _tool_pattern(tool).search(text) is not None
