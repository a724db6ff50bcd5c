"""What each value that the user gives is for, where a reader of the query could not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .needs import Given, Needs, labels_of, values_of


@dataclass(frozen=True)
class Purpose:
    """A call that the user wants, and that a value is for.

    Attributes:
        tool: Its name.
        which: Which of the wanted calls of that tool it is, from 1 on.
        of: How many there are.
        role: The call's argument that is found out with the value, where the same call takes two such.
    """

    tool: str
    which: int
    of: int
    role: str = ""


def purposes(needs: Needs, given: Given) -> list[Purpose]:
    """The wanted calls that a value is for; none where nothing else could be meant.

    A value needs a purpose where another call of the trace takes a value of the same name that is another
    one: another that the user gives, one left out to be asked for, or one that the trace finds out. So does
    one that only some calls of a tool take that is wanted several times.

    Args:
        needs: The trace, taken apart.
        given: One of its values.
    """
    name = given.name
    values = {
        _alike(value)
        for executed in needs.trace
        for called, value in _called(executed.call.arguments)
        if called == name
    }
    if len(values) < 2 and not _for_some(needs, given):
        return []
    others = [one for one in needs.given if one != given and one.name == name]
    uses = {use for one in others for use in _uses(needs, one)}
    return [
        _purpose(needs, goal, role if any(one[0] == goal and one[1] != role for one in uses) else "")
        for goal, role in sorted(_uses(needs, given))
    ]


def _for_some(needs: Needs, given: Given) -> bool:
    """Whether a value is for some of the wanted calls of a tool, and others take none of its name."""
    takes: dict[str, set[bool]] = {}
    for goal in needs.goals:
        call = needs.trace[goal].call
        names = {called for called, _ in _called(call.arguments)}
        takes.setdefault(call.name, set()).add(given.name in names)
    return takes.get(needs.trace[given.step].call.name) == {True, False}


def _called(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every value of a call with what it is called."""
    labels = labels_of(arguments)
    return [(labels.get(path) or _leaf(path), value) for path, value in values_of(arguments)]


def _uses(needs: Needs, given: Given) -> set[tuple[int, str]]:
    """The wanted calls that take a value, or what is found out with it, and as what they take the latter."""
    users = [
        number
        for number, executed in enumerate(needs.trace)
        if any(
            parameter == given.parameter and _alike(value) == _alike(given.value)
            for parameter, value in values_of(executed.call.arguments)
        )
    ]
    return {use for number in users for use in _served(needs, number)}


def _served(needs: Needs, number: int) -> set[tuple[int, str]]:
    if number in needs.goals:
        return {(number, "")}
    own = needs.trace[number].number
    found: set[tuple[int, str]] = set()
    for later in range(number + 1, len(needs.trace)):
        for parameter, source in needs.trace[later].sources.items():
            if source.kind == "result" and source.step == own:
                found |= {(later, _leaf(parameter))} if later in needs.goals else _served(needs, later)
    return found


def _purpose(needs: Needs, goal: int, role: str) -> Purpose:
    tool = needs.trace[goal].call.name
    alike = [one for one in sorted(needs.goals) if needs.trace[one].call.name == tool]
    return Purpose(tool, alike.index(goal) + 1, len(alike), role)


def _alike(value: Any) -> str:
    """What values that a reader takes for one have in common: 2 and 2.0 are the same weight."""
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)


def _leaf(parameter: str) -> str:
    return parameter.rpartition(".")[2]
