"""What a query has to satisfy, decided by code and not by whoever wrote it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..explore.words import spoken, telling_words, tokens
from .forms import gives_away, is_spaced
from .needs import Given, Needs

_YES = re.compile(r"\b(?:yes|true|on|with|please|should|must|enabled?)\b", re.IGNORECASE)
_NO = re.compile(
    r"\b(?:no|not|none|never|false|off|without|disabled?|skip|(?:do|does|need|is|are|should|must)n['’]?t)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.;,!?\n]|\bbut\b|\band\b")


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
    told = [one for one in needs.given if one not in apart]
    found = [f"query_lacks_value: {one.shown[0]}" for one in told if not _tells(text, *one.shown)]
    values = [one.shown[1] for one in told]
    for one in apart:
        if _gives(text, one.parameter, one.value, values):
            found.append(f"query_tells_left_out: {one.parameter}")
    if not hard:
        return found
    steps = steps_to_hide(needs)
    for name in dict.fromkeys(executed.call.name for executed in needs.trace):
        if names_tool(text, name) or (name in steps and _names_step(text, name, values)):
            found.append(f"query_names_tool: {name}")
    for parameter, value in zip(needs.derived_as, needs.derived, strict=True):
        if _gives(text, parameter, value, values):
            found.append(f"query_gives_value_away: {value}")
    return list(dict.fromkeys(found))


def _tells(text: str, name: str, value: Any) -> bool:
    """Whether a text tells the value of a parameter."""
    return tells_flag(text, name, value) if isinstance(value, bool) else says(text, value)


def _gives(text: str, name: str, value: Any, told: Iterable[Any]) -> bool:
    """Whether a text gives a value away beside the values that it has to tell, some of which may hold it."""
    if isinstance(value, bool):
        return tells_flag(text, name, value)
    if not gives_away(text, value):
        return False
    rest = _composed(text)
    for one in sorted(map(_composed, map(written, _each(told))), key=len, reverse=True):
        if gives_away(one, value):
            rest = rest.replace(one, " ")
    return gives_away(rest, value)


def _each(values: Iterable[Any]) -> Iterable[Any]:
    for one in values:
        yield from one if isinstance(one, (list, tuple)) else (one,)


def tells_flag(text: str, name: str, value: bool) -> bool:
    """Whether a text says of something that it is so, or that it is not: `express yes`, `no insurance`.

    Args:
        text: What the user says.
        name: Of the parameter; one of the words that say what it is has to stand there.
        value: True or false.
    """
    words = telling_words(name) or tokens(name)
    for clause in _CLAUSE.split(text):
        if not any(_begins(clause, word) for word in words):
            continue
        if (_NO.search(clause) is not None) != value or (value and _YES.search(clause) is not None):
            return True
    return False


def _begins(clause: str, word: str) -> bool:
    """Whether a word stands in a clause, whatever its ending."""
    root = word[:-1] if len(word) > 4 and word[-1] in "ey" else word
    return re.search(rf"(?<![^\W_]){re.escape(root)}", clause, re.IGNORECASE) is not None


def says(text: str, value: Any) -> bool:
    """Whether a text holds a value as it is: a text or number as a whole word, of a list every item."""
    if isinstance(value, bool):
        return (_YES if value else _NO).search(text) is not None
    if isinstance(value, (list, tuple)):
        return all(says(text, one) for one in value)
    shown = _composed(written(value))
    if not shown:
        return True
    text = _composed(text)
    at = text.find(shown)
    while at >= 0:
        if _stands_alone(text, shown, at):
            return True
        at = text.find(shown, at + 1)
    return False


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _stands_alone(text: str, shown: str, at: int) -> bool:
    """Whether what stands at a place is a whole word or number, and not a part of one."""
    before, after = text[at - 1 : at] if at else "", text[at + len(shown) :][:2]
    if is_spaced(shown[0]) and (before in (".", "_") or is_spaced(before or " ")) and before:
        return False
    if not is_spaced(shown[-1]):
        return True
    follows = after[:1]
    return not (
        follows == "_"
        or (follows and (is_spaced(follows) or unicodedata.combining(follows)))
        or (follows == "." and after[1:].isdigit())
    )


def written(value: Any) -> str:
    """A scalar as a text shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)


@lru_cache(maxsize=4096)
def _tool_pattern(tool: str) -> re.Pattern[str]:
    """A tool's identifier in whatever spelling: `get_zipcode`, `get-zipcode`, `getZipcode`."""
    words = spoken(tool).split()
    name = re.escape(tool) if len(words) < 2 else rf"{re.escape(tool)}|{'[_-]?'.join(map(re.escape, words))}"
    if len(words) > 1:
        return re.compile(rf"(?<![^\W_])(?:{name})(?![^\W_])", re.IGNORECASE)
    # A single word may stand in any sentence: it has to be called, or set apart as a name. `add (2 times)`
    # calls nothing.
    return re.compile(rf"(?<![^\W_]){name}\s*\((?!\d+ times\))|([`'\"]){name}\1", re.IGNORECASE)


def names_tool(text: str, tool: str) -> bool:
    """Whether a text names a tool as such: its identifier, or any name that is called in it."""
    return _tool_pattern(tool).search(text) is not None


@lru_cache(maxsize=4096)
def step_pattern(tool: str) -> re.Pattern[str] | None:
    """All words of a tool's name in their order, as a text speaks of it; None where it has but one."""
    first, *rest = map(re.escape, spoken(tool).split())
    if not rest:
        return None
    return re.compile(
        r"(?<![^\W_])" + first + r"([\W_]+" + r"[\W_]+".join(rest) + r")(?![^\W_])", re.IGNORECASE
    )


def steps_to_hide(needs: Needs) -> list[str]:
    """The tools that a hard query must not speak of: those that are not what the user wants."""
    goals = {needs.trace[number].call.name for number in needs.goals}
    names = dict.fromkeys(needs.trace[number].call.name for number in needs.hidden)
    return [name for name in names if name not in goals]


def _names_step(text: str, tool: str, told: Iterable[Any]) -> bool:
    """Whether a text speaks of a tool that it should hide, and not because it has to tell such a value."""
    pattern = step_pattern(tool)
    if pattern is None or pattern.search(text) is None:
        return False
    return not any(pattern.search(written(one)) for one in _each(told))
