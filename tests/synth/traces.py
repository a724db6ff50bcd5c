"""Small traces for tests of what a query needs."""

from __future__ import annotations

from typing import Any

from funreason_train.calls import Call
from funreason_train.environments import Result
from funreason_train.synth.chain.needs import Needs, needs_of
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.trace import Executed, Source


def step(number: int, name: str, answer: Any, changed: bool = False, /, **arguments: Any) -> Executed:
    """A call whose arguments are given as a value, or as (value, step, path) for one found in an answer."""
    values, sources = {}, {}
    for key, one in arguments.items():
        if isinstance(one, tuple):
            values[key], sources[key] = one[0], Source("result", step=one[1], path=one[2])
        else:
            values[key], sources[key] = one, Source("state")
    return Executed(Call(name, values), Result(str(answer), True, answer), changed, sources, number)


def graph(*names: str) -> Graph:
    parameters = {"type": "object", "properties": {}, "required": []}
    return Graph("x", [{"name": name, "description": "", "parameters": parameters} for name in names])


#: The paper's example (appendix): two zip codes are found out, then tickets are bought.
TICKETS = [
    step(0, "get_zipcode", {"zipcode": "83214"}, city="Rivermist"),
    step(1, "get_zipcode", {"zipcode": "74532"}, city="Stonebrook"),
    step(
        2, "buy_tickets", {"ok": True}, True, start=("83214", 0, ("zipcode",)), end=("74532", 1, ("zipcode",))
    ),
]


def tickets() -> Needs:
    return needs_of(TICKETS, TICKETS, graph("get_zipcode", "buy_tickets"))
