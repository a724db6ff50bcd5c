"""Partial credit that guessing cannot farm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from funreason_train.calls import Call, Schema
from funreason_train.calls.match import Canon, Strings


def similarity(
    predicted: Sequence[Call],
    gold: Sequence[Call],
    tools: Mapping[str, Schema],
    *,
    ordered: bool = False,
    strings: Strings = "exact",
) -> float:
    """How alike two lists of calls are, from 0 to 1; 1 only if they match.

    Calls are paired one to one, the most alike first, and only calls of the same tool. A pair counts the
    mean of 1 (the name), the Jaccard index of its argument names, and that of its arguments with their
    values. The total S is turned into S / (predicted + gold - S), a Jaccard index again: a surplus call
    always costs.

    Args:
        predicted: The model's calls.
        gold: The right calls.
        tools: The offered tools' schemas.
        ordered: Whether only calls at the same place are paired.
        strings: As in `match_calls`.
    """
    canon = Canon(tools, strings)
    ours, theirs = [_Form(canon, call) for call in predicted], [_Form(canon, call) for call in gold]
    pairs = sorted(
        (-_alike(ours[i], theirs[j]), i, j)
        for i in range(len(ours))
        for j in range(len(theirs))
        if ours[i].name == theirs[j].name and (i == j or not ordered)
    )
    used_ours: set[int] = set()
    used_theirs: set[int] = set()
    total = 0.0
    for minus, i, j in pairs:
        if i not in used_ours and j not in used_theirs:
            used_ours.add(i)
            used_theirs.add(j)
            total -= minus
    return total / (len(ours) + len(theirs) - total)


class _Form:
    """One call as the sets that are compared, hashed once."""

    def __init__(self, canon: Canon, call: Call) -> None:
        self.name, arguments = canon.call(call)
        self.names = frozenset(name for name, _ in arguments)
        self.arguments: frozenset[Any] = arguments


def _alike(ours: _Form, theirs: _Form) -> float:
    names = _jaccard(ours.names, theirs.names)
    return (1.0 + names + _jaccard(ours.arguments, theirs.arguments)) / 3.0


def _jaccard(left: frozenset[Any], right: frozenset[Any]) -> float:
    return len(left & right) / len(left | right) if left or right else 1.0
