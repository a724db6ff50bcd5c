"""Learning the graph: episodes that work towards the tools that succeeded least, and try others too."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from ...calls import Call
from ...environments import Environment
from ...environments.mcp import PREFIX
from .directions import Directions
from .draw.arguments import Drawer, Fitting
from .evidence import named_tools
from .graph import Graph
from .trace import Executed, fingerprint

_PENDING = 4  # failed calls that are tried again after each change of the state
SLOW = 10.0  # seconds after which a call's tool is left alone
_HANGS = 3  # slow calls after which a tool is left alone that has succeeded more often than that
_ASTRAY = 0.25  # of the calls that follow no direction
_REMEDY = 0.75  # of the calls after an error that do what is known to help
_IN_VAIN = 400  # calls after which learning ends if none has succeeded
_HIDDEN = 0.1  # of the calls without a visible effect after which failed ones are tried again all the same
_GUESS = 0.4  # of the errors for which nothing is known that follow what their words point to
_NOTHING_NEW = 8  # episodes of a server after which learning ends
_ENOUGH = 100  # calls of a tool, all of which failed, after which no more is expected of it
_REDRAWS = 3  # sets of arguments that are drawn in place of one that has failed in this very state

Scenario = Callable[[Random], Mapping[str, Any]]
Told = Callable[[str], None]
"""Takes a few words on how far something is, as often as there are any."""


def untold(_: str) -> None:
    """Takes them and says nothing."""


def learn(
    environment: Environment,
    scenario: Scenario,
    seed: str,
    episodes: int,
    calls: int,
    graph: Graph | None = None,
    told: Told = untold,
) -> Graph:
    """Explores an environment.

    An episode works towards the tools that have succeeded least, by what was learnt so far and, where nothing
    was, by the names of fields and parameters. A call that failed is repeated unchanged whenever a later call
    has changed the state: if it succeeds now, the later call is what it needed.

    Args:
        environment: Reset for each episode.
        scenario: Draws a configuration.
        seed: Of all draws.
        episodes: How many; of a server fewer, once some in a row have shown nothing new.
        calls: Calls of an episode, repeated ones not counted.
        graph: What was learnt before, which is added to; None starts from the documents.
        told: Hears of every call, since one may take seconds.

    Returns:
        The graph.
    """
    graph = graph or Graph(environment.name, environment.tools())
    hung: Counter[str] = Counter()
    made = 0
    # Of a server every call takes its time; where all is said, the rest of the episodes would show it again.
    patient = not environment.name.startswith(PREFIX)
    known: Any = None
    since = 0

    def tell() -> None:
        nonlocal made
        made += 1
        told(f"episode {number + 1} of {episodes}, {made} calls")

    for number in range(episodes):
        if graph.avoided >= graph.tools.keys() or _in_vain(graph):
            break
        rng = Random(f"{seed}/learn/{number}")
        config = scenario(rng)
        environment.reset(config)
        _Episode(environment, graph, Drawer(graph, config, learning=True), rng, hung, tell).play(calls)
        if patient:
            continue
        now = _shown(graph)
        known, since = now, since + 1 if now == known else 0
        tried = all(one.ok or one.failed >= _ENOUGH for one in graph.tools.values())
        if since >= _NOTHING_NEW and tried and number + 1 < episodes:
            told(f"nothing new in {since} episodes, so that {number + 1} of {episodes} will do; {made} calls")
            break
    return graph


def _shown(graph: Graph) -> Any:
    """What calls are chosen by: which tools work, what each needs, and whose values nobody can know."""
    parameters = {
        (name, place) for name, record in graph.tools.items() for place in record.sources if record.ok
    }
    return (
        graph.edges(),
        {name: tuple(graph.required(name)) for name, record in graph.tools.items() if record.ok},
        {one for one in parameters if graph.opaque(*one)},
        {(name, obstacle) for name, record in graph.tools.items() for obstacle in record.remedies},
    )


def _in_vain(graph: Graph) -> bool:
    """Whether every call fails, whatever it is given, as where a service cannot be reached."""
    records = graph.tools.values()
    return sum(record.failed for record in records) >= _IN_VAIN and not any(record.ok for record in records)


class _Episode:
    def __init__(
        self,
        environment: Environment,
        graph: Graph,
        drawer: Drawer,
        rng: Random,
        hung: Counter[str],
        tell: Callable[[], None],
    ) -> None:
        self._environment, self._graph, self._drawer, self._rng = environment, graph, drawer, rng
        self._hung, self._tell = hung, tell
        self._directions = Directions(graph, hinted=True)
        self._done: list[Executed] = []
        self._called: set[str] = set()
        self._tried: dict[str, int] = {}
        self._pending: list[tuple[Executed, Any]] = []
        self._needs: dict[str, list[tuple[str, Mapping[str, int]]]] = {}
        self._state = fingerprint(environment)

    def play(self, calls: int) -> None:
        target = self._target()
        for _ in range(calls):
            name, fitting = self._next(target)
            for draw in range(2 * _REDRAWS):
                arguments, sources = self._drawer.arguments(name, self._rng, fitting)
                if not self._drawer.attempts.has_failed(name, arguments):
                    break
                if draw == _REDRAWS:  # nothing new can be tried with it in this state
                    name, fitting = self._aside(target), None
            executed = self._execute(Call(name, arguments), sources)
            if self._environment.fault:
                return
            self._tried[name] = self._tried.get(name, 0) + 1
            if executed.result.ok:
                self._needs.pop(name, None)
                if executed.changed or self._may_help(name) or self._rng.random() < _HIDDEN:
                    self._retry(executed)
                    if self._environment.fault:
                        return
                if name == target:
                    target = self._target()
                continue
            if name in self._graph.avoided:
                if self._graph.avoided >= self._graph.tools.keys():
                    return
                target = self._target()
                continue
            self._note_remedies(executed)
            others = [one for one in self._pending if one[0].call != executed.call]
            self._pending = [*others, (executed, sources)][-_PENDING:]
            needed = set().union(*self._directions.clauses[name])
            self._called -= {one for one in needed if one in executed.result.text}
            if name == target and self._tried[name] >= 6:
                target = self._target()

    def _target(self) -> str:
        """One of the tools that succeeded least and were not tried much in this episode."""
        self._directions = Directions(self._graph, hinted=True)
        few = sorted(
            [name for name in self._graph.tools if name not in self._graph.avoided] or self._graph.tools,
            key=lambda name: (
                self._graph.tools[name].ok > 8,
                self._tried.get(name, 0),
                self._rng.random(),
            ),
        )
        return few[0] if self._rng.random() < 0.7 else self._rng.choice(few)

    def _note_remedies(self, executed: Executed) -> None:
        """What is known to help after this error, and by which arguments; else what its words point to."""
        call, error = executed.call, executed.result.text
        known: Mapping[str, Mapping[str, int]] = self._graph.remedies(call.name, call, error)
        if not known and self._rng.random() < _GUESS:
            named = named_tools(error, [one for one in self._graph.tools if one != call.name])
            known = self._graph.partial(call.name, call, error) or {one: {} for one in named}
        self._needs[call.name] = list(known.items())

    def _next(self, target: str) -> tuple[str, Fitting | None]:
        """The next tool, and how it is best called if that is known."""
        if (needed := self._needs.get(target)) and self._rng.random() < _REMEDY:
            name, ways = self._rng.choice(needed)
            if name not in self._graph.avoided and self._directions.is_legal(name, self._called):
                ways = ways or {"null": 1}
                return name, json.loads(self._rng.choices(list(ways), list(ways.values()))[0])
        return self._towards(target), None

    def _may_help(self, name: str) -> bool:
        """Whether a failed call was said to need this, though it may have changed nothing that shows."""
        return any(name in dict(self._needs.get(one.call.name, ())) for one, _ in self._pending)

    def _aside(self, target: str) -> str:
        """A tool that might get the target out of where it is stuck."""
        if (needed := self._needs.get(target)) and self._rng.random() < _REMEDY:
            return self._rng.choice(needed)[0]
        return self._rng.choice(self._directions.legal(self._called) or [target])

    def _towards(self, target: str) -> str:
        legal = self._directions.legal(self._called)
        if not legal or self._rng.random() < _ASTRAY:
            return self._rng.choice(legal or [n for n in self._graph.tools if n not in self._graph.avoided])
        if target in legal:
            return target
        distances = self._directions.distances(target)
        new = [n for n in legal if n in distances and n not in self._called and self._tried.get(n, 0) < 8]
        if not new:
            return self._rng.choice([target, self._rng.choice(legal)])
        least = min(distances[name] for name in new)
        return self._rng.choice([name for name in new if distances[name] == least])

    def _execute(self, call: Call, sources: Any) -> Executed:
        began = time.monotonic()
        result = self._environment.call(call)
        self._tell()
        # It is slow; or it hangs, or ends what it runs in, so that nothing further can be called.
        if time.monotonic() - began > SLOW or self._environment.fault:
            self._hung[call.name] += 1
            if self._hung[call.name] > min(self._graph.tools[call.name].ok, _HANGS - 1):  # not its arguments
                self._graph.avoided.add(call.name)
        changed = False
        if result.ok:
            state = fingerprint(self._environment)
            changed, self._state = state != self._state, state
        executed = Executed(call, result, changed, sources, len(self._done))
        self._graph.observe(executed, self._done)
        if changed or (result.ok and self._graph.tools[call.name].changes):
            self._drawer.attempts.changed()
        if not result.ok:
            self._drawer.attempts.failed(executed)
        else:
            self._drawer.attempts.succeeded(call.name)
            self._drawer.remember(len(self._done), executed)
            self._done.append(executed)
            self._called.add(call.name)
        return executed

    def _retry(self, enabler: Executed) -> None:
        left = []
        for earlier, sources in self._pending:
            again = self._execute(earlier.call, sources)
            if self._environment.fault:
                return
            self._graph.learn_enabling(enabler, earlier.call, earlier.result, again.result)
            if not again.result.ok:
                left.append((again, sources))
        self._pending = left
