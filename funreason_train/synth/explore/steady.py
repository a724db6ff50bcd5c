"""Tools with which no conversation can be replayed: their answer, or the state after it, differs each time.

A clock, a random id, a time that is written into a record. They are found by playing some calls twice.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress, pairwise
from random import Random
from typing import Any

from ...calls import Call
from ...environments import Environment, Result
from ...environments.mcp.policy import writes_by_name
from .directions import Directions
from .draw.arguments import Drawer
from .graph import Graph
from .learn import Told, untold
from .sampler import Sampler

_A_SECOND = 1.1  # seconds, after which a clock shows another time
_TARGETS = 6  # tools that one conversation works towards
_CALLS = 40
_FIELD = re.compile(r'"([^"]{1,40})"\s*:')
_ROUNDS = 6  # each without the tools, and with the forms of ids, that the rounds before have found
_LEARNT = ("", "its ids are others each time, and are known from now on")


@dataclass(frozen=True)
class Played:
    """A call and what came of it.

    Attributes:
        call: The call.
        result: Its answer.
        state: The snapshot after it; None where it could not be read.
    """

    call: Call
    result: Result
    state: Any


class _Kept(Environment):
    """An environment whose calls are kept."""

    name = "kept"

    def __init__(self, inner: Environment) -> None:
        self._inner = inner
        self.begun: Any = None  # the state at first
        self.played: list[Played] = []

    @property
    def fault(self) -> str | None:  # type: ignore[override]
        return self._inner.fault

    def reset(self, config: Mapping[str, Any]) -> None:
        self._inner.reset(config)
        self.begun, self.played = _state(self._inner), []

    def tools(self) -> list[dict[str, Any]]:
        return self._inner.tools()

    def call(self, call: Call) -> Result:
        result = self._inner.call(call)
        self.played.append(Played(call, result, _state(self._inner)))
        return result

    def snapshot(self) -> Any:
        return self._inner.snapshot()


def unsteady_tools(
    environment: Environment,
    scenario: Callable[[Random], Mapping[str, Any]],
    graph: Graph,
    seed: str,
    told: Told = untold,
) -> dict[str, str]:
    """The tools of which two plays of the same calls differ, each with what differs.

    Args:
        environment: Reset for each play.
        scenario: Draws a configuration.
        graph: What was learnt; its `avoided` grows by what is found.
        seed: Of all draws.
        told: Hears of every round.
    """
    found: dict[str, str] = {}
    for number in range(_ROUNDS):
        told(f"looking for what is another one each time, round {number + 1} of at most {_ROUNDS}")
        new = dict(_round(environment, scenario, graph, f"{seed}/steady/{number}"))
        again = new.pop(_LEARNT[0], None)
        graph.avoided |= new.keys()
        found |= new
        if not new and again is None:
            break
    return found


def leaks(
    environment: Environment,
    shared: Environment,
    scenario: Callable[[Random], Mapping[str, Any]],
    graph: Graph,
    seed: str,
) -> str:
    """What a class keeps beyond its objects, in its module or in itself, so that conversations that are
    played one after the other in one process see what others did; empty if nothing is seen of it.

    Args:
        environment: In a new process after each reset.
        shared: The same, in one process all along.
        scenario: Draws a configuration.
        graph: What was learnt.
        seed: Of all draws.
    """
    plays = _plays(environment, scenario, graph, f"{seed}/leaks")
    for config, begun, played in (*plays, *plays):
        try:
            shared.reset(config)
        except ValueError as error:
            return f"a second start fails ({error})"
        if _state(shared) != begun:
            return "a second start shows another state"
        if differing := _first_difference(shared, played):
            return f"after other conversations {differing[0]} comes to something else"
    return ""


_Play = tuple[Mapping[str, Any], Any, list[Played]]
"""A configuration, the state at first, and what was called."""


def _plays(
    environment: Environment, scenario: Callable[[Random], Mapping[str, Any]], graph: Graph, seed: str
) -> list[_Play]:
    """Conversations in which every tool that has succeeded is worked towards."""
    directions = Directions(graph)
    targets = [name for name in directions.targets if graph.tools[name].ok]
    plays: list[_Play] = []
    for start in range(0, len(targets), _TARGETS):
        rng = Random(f"{seed}/{start}")
        config = scenario(rng)
        kept = _Kept(environment)
        kept.reset(config)
        sampler = Sampler(kept, graph, directions, Drawer(graph, config), rng, most=_CALLS // 2)
        for target in targets[start : start + _TARGETS]:
            if len(kept.played) < _CALLS and not kept.fault:
                sampler.turn(target)
        plays.append((config, kept.begun, kept.played))
    return plays


def _round(
    environment: Environment, scenario: Callable[[Random], Mapping[str, Any]], graph: Graph, seed: str
) -> Iterator[tuple[str, str]]:
    plays = _plays(environment, scenario, graph, seed)
    time.sleep(_A_SECOND)
    for config, begun, played in plays:
        environment.reset(config)
        if (differing := _first_difference(environment, played)) is not None:
            yield differing
            if differing == _LEARNT:  # what was played before shows other ids
                return
        else:
            states = [begun, *(one.state for one in played)]
            unchanged = (before == after for before, after in pairwise(states))
            reading = {one.call.name: one.call for one in compress(played, unchanged)}
            yield from _clocks(environment, reading)


def _first_difference(environment: Environment, played: list[Played]) -> tuple[str, str] | None:
    """The tool whose call first came to something else, and to what."""
    for one in played:
        again = environment.call(one.call)
        if environment.fault:
            return None
        if (again.ok, again.text) != (one.result.ok, one.result.text):
            alike = again.ok == one.result.ok
            drawn = alike and _learns_ids(environment, one.result.text, again.text)
            if drawn is not False:
                return _LEARNT if drawn else None
            told = _field_apart(one.result.text, again.text)
            return one.call.name, f"its answer to the same call is another one each time{told}"
        if (state := _state(environment)) != one.state:
            states = (json.dumps(one, sort_keys=True) for one in (one.state, state))
            if (drawn := _learns_ids(environment, *states)) is not False:
                return _LEARNT if drawn else None
            where = environment.compare(one.state)[:1]
            told = f" ({where[0]})" if where else ""
            return one.call.name, f"the state that it leaves is another one each time{told}"
    return None


def _learns_ids(environment: Environment, first: str, second: str) -> bool | None:
    """Whether two answers differ in ids alone that are drawn; None if that was known of their forms."""
    learn: Callable[[str, str], bool | None] | None = getattr(environment, "learn_ids", None)
    return False if learn is None else learn(first, second)


def _clocks(environment: Environment, reading: Mapping[str, Call]) -> Iterator[tuple[str, str]]:
    """The tools that tell the time, of servers whose times are shown as one moment: they say something else a
    second later.

    Args:
        environment: In a state in which the calls have succeeded.
        reading: Tool -> a call of it that changes nothing, but perhaps a time that it writes down: that is
            what `start_timer` does, and not what it is asked for.
    """
    first = {
        name: said
        for name, call in reading.items()
        if not writes_by_name(name) and (said := _said(environment, call))
    }
    if first:
        time.sleep(_A_SECOND)
    for name, said in first.items():
        if (again := _said(environment, reading[name])) and again != said:
            yield name, "its answer to the same call is another one each time (it tells the time, or chance)"


def _said(environment: Environment, call: Call) -> str:
    """What a server wrote; empty where it failed, or where that is what a model reads."""
    result = environment.call(call)
    said = getattr(environment, "said", result.text)
    return str(said) if result.ok and said != result.text else ""


def _field_apart(first: str, second: str) -> str:
    """The field in which two answers first differ, where they have any; not its values, which are others in
    each run.
    """
    same = (one == other for one, other in zip(first, second, strict=False))
    place = next((number for number, equal in enumerate(same) if not equal), len(first))
    fields = _FIELD.findall(first[:place])
    return f" (in {fields[-1]})" if fields else ""


def _state(environment: Environment) -> Any:
    try:
        return environment.snapshot()
    except ValueError:
        return None
