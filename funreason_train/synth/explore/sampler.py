"""Sampling traces: the paper's directed sampler, and uniform sampling beside it.

The next tool, given the tools called in this turn and the legal ones (arXiv:2510.24645, section 4):

- a random legal tool, once the target has been called;
- the target itself, if it is legal;
- else the legal tool with the smallest distance to the target in the graph.

Among tools at the same distance one is drawn. A tool that has been called adds nothing to what is legal, so
as long as another leads to the target it is not called again: the paper's rule would call it for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from ...calls import Call
from ...environments import Environment, Result
from ...environments.mcp.policy import edits_by_name, removes_by_name
from .directions import Directions
from .draw.arguments import Drawer
from .evidence import without_values
from .graph import Graph
from .seen import Seen
from .trace import Executed, Source, fingerprint

_HELP = 2  # times that a turn does what one error of a tool asks for
_KNOWN = 0.8  # of the calls whose value nobody can know that wait until an answer holds one
_REDRAWS = 8  # sets of arguments that are drawn in place of one that has failed in this very state
_LOOKS = 3  # failed calls of a conversation that are made once more at its end
_BACK = 0.8  # of the steps without a way on that ask a tool again which gave values that did not do

Policy = Literal["directed", "uniform"]


@dataclass
class Sampled:
    """One turn's trace.

    Attributes:
        target: The tool that was to be reached.
        trace: The successful calls, in order.
        failures: Position in the trace -> the failed calls made there.
        reached: Whether the target was called with success.
        calls: How many calls were executed in all, failed ones included.
        calls_to_target: The same up to the target's success; all of them if it was not reached.
        distance: From the first call to the target, in edges; None where no path was known.
    """

    target: str
    trace: list[Executed] = field(default_factory=list)
    failures: dict[int, list[Executed]] = field(default_factory=dict)
    reached: bool = False
    calls: int = 0
    calls_to_target: int = 0
    distance: int | None = None


class Sampler:
    """Executes calls in a live environment.

    Args:
        environment: After its reset.
        graph: What is known of the tools; errors are looked up in it.
        directions: Legality and distances.
        drawer: Of arguments.
        rng: Of every choice.
        draws: How often arguments are drawn for one tool before another is chosen.
        most: Calls of one turn, failed ones included.
        seen: Counts what the calls show; None for nobody.
    """

    def __init__(
        self,
        environment: Environment,
        graph: Graph,
        directions: Directions,
        drawer: Drawer,
        rng: Random,
        *,
        draws: int = 6,
        most: int = 24,
        seen: Seen | None = None,
    ) -> None:
        self.environment, self.directions, self.drawer, self.rng = environment, directions, drawer, rng
        self.draws, self.most, self.graph, self.seen = draws, most, graph, seen
        self._failed: list[Executed] = []
        self._needs: dict[str, list[str]] = {}  # what a tool's last error asks for
        self._ways: dict[
            str, Mapping[str, int]
        ] = {}  # a tool that is asked for -> by which arguments it helped
        self.called: set[str] = set()  # in the conversation so far
        self.history: list[Executed] = []
        self._state = fingerprint(environment)

    def turn(self, target: str, extra: int = 0, policy: Policy = "directed") -> Sampled:
        """Samples one turn: calls up to the target, and `extra` ones after it."""
        found = Sampled(target)
        blocked: set[str] = set()
        self._helped: dict[tuple[str, str], int] = {}
        self._needs, self._ways = {}, {}
        after = 0
        while found.calls < self.most and not getattr(self.environment, "fault", None):
            name = self._next(found, blocked, policy)
            if name is None:
                break
            if found.distance is None and policy == "directed":
                found.distance = self.directions.distances(target).get(name)
            executed = self._call(name, found)
            if executed is None:
                blocked.add(name)
                continue
            blocked.clear()
            self._needs = {one: needed for one, needed in self._needs.items() if name not in needed}
            self._ways.pop(name, None)
            self.drawer.attempts.succeeded(name)
            if found.reached:
                after += 1
            elif name == target:
                found.reached = True
            if found.reached and after >= extra:
                break
        return found

    def walk(self, count: int) -> Sampled:
        """Samples one turn of random legal calls, for comparison; its target is the last tool called."""
        found, blocked = Sampled(""), set[str]()
        self._helped, self._needs, self._ways = {}, {}, {}
        while len(found.trace) < count and found.calls < self.most:
            name = self._next(found, blocked, "uniform")
            if name is None:
                break
            if self._call(name, found) is None:
                blocked.add(name)
            else:
                blocked.clear()
        if found.trace:
            found.target, found.reached = found.trace[-1].call.name, True
        return found

    def execute(self, call: Call, sources: Mapping[str, Source] | None = None) -> Executed:
        """Executes one call and takes it into the conversation, if it succeeds."""
        result = self.environment.call(call)
        changed = vain = False
        if result.ok:
            state = fingerprint(self.environment)
            changed, self._state = state != self._state, state
            # Some servers say that they have deleted what was never there; and nobody would ask for an update
            # that leaves all as it was, since nothing was given for it, or the same.
            known = self.graph.tools[call.name].changes > 0
            vain = known and not changed and (removes_by_name(call.name) or self._edits(call.name))
        if vain:
            result = Result(result.text, False, result.value)
        executed = Executed(call, result, changed, sources or {}, len(self.history))
        if self.seen is not None:
            self.seen.observe(executed, self.history)
        if changed or (result.ok and self.graph.tools[call.name].changes):  # a state may have hidden parts
            self.drawer.attempts.changed()
        if not result.ok:
            self.drawer.attempts.failed(executed)
            self._failed += [] if vain else [executed]
        else:
            self.drawer.remember(len(self.history), executed)
            self.history.append(executed)
            self.called.add(call.name)
        return executed

    def _edits(self, name: str) -> bool:
        """Whether a tool that others wrote changes something, as its name says."""
        return self.drawer.foreign and edits_by_name(name)

    def look_back(self) -> None:
        """Makes calls once more that failed before something changed, to learn whether that helped.

        For the end of a conversation, since it changes the state. Where more than one call changed the state
        in between, nobody can tell which of them it was.
        """
        if self.seen is None or getattr(self.environment, "fault", None):
            return
        last = {json.dumps([one.call.name, one.call.arguments], sort_keys=True): one for one in self._failed}
        for failed in list(last.values())[-_LOOKS:]:
            name = failed.call.name
            helpers = [one for one in self.history[failed.number :] if one.changed]
            if len(helpers) != 1 or helpers[0].call.name == name:
                continue
            result = self.environment.call(failed.call)
            if getattr(self.environment, "fault", None):
                return
            again = Executed(failed.call, result, False, failed.sources, len(self.history))
            self.seen.observe(again, self.history)
            self.seen.learn_enabling(helpers[0], failed.call, failed.result, result)
            if result.ok:  # the state is another now
                return

    def _call(self, name: str, found: Sampled) -> Executed | None:
        """A successful call of this tool; None if no arguments were found for one."""
        for _ in range(self.draws):
            if found.calls >= self.most:
                return None
            drawn = self._drawn(name, found)
            if drawn is None:
                return None
            executed = self.execute(Call(name, drawn[0]), drawn[1])
            found.calls += 1
            found.calls_to_target += not found.reached
            if executed.result.ok:
                found.trace.append(executed)
                return executed
            if any(one is executed for one in self._failed[-1:]):
                found.failures.setdefault(len(found.trace), []).append(executed)
            self._forget(name, executed.result.text)
            if not self.directions.is_legal(name, self.called):
                return None
            needed = self.graph.remedies(name, executed.call, executed.result.text)
            obstacle = (name, without_values(executed.result.text, executed.call.arguments))
            if needed and self._helped.get(obstacle, 0) < _HELP:
                self._helped[obstacle] = self._helped.get(obstacle, 0) + 1
                self._needs[name] = list(needed)
                self._ways |= needed
                return None
        return None

    def _drawn(self, name: str, found: Sampled) -> tuple[dict[str, Any], dict[str, Source]] | None:
        """Arguments that have not failed in this very state; None if there seem to be none."""
        fitting, wanted = None, None
        if ways := self._ways.get(name):
            fitting = json.loads(self.rng.choices(list(ways), list(ways.values()))[0])
        elif found.target and not found.reached:
            wanted = self.graph.consumer(found.target, name)
        for _ in range(_REDRAWS):
            drawn = self.drawer.arguments(name, self.rng, fitting, wanted)
            if self.drawer.attempts.has_failed(name, drawn[0]):
                continue
            unknown = any(
                drawn[1][place].kind == "made" for place in self.graph.valued(name) if place in drawn[1]
            )
            if not unknown or self.rng.random() > _KNOWN:
                return drawn
        return None

    def _forget(self, name: str, error: str) -> None:
        """What an error asks for has to be called again, as a login after a logout."""
        needed = set().union(*self.directions.clauses[name])
        self.called -= {one for one in needed if re.search(rf"\b{re.escape(one)}\b", error)}

    def _next(self, found: Sampled, blocked: Collection[str], policy: Policy) -> str | None:
        legal = [name for name in self.directions.legal(self.called) if name not in blocked]
        if not legal:
            return None
        if policy == "uniform" or found.reached:
            return self.rng.choice(legal)
        done = {one.call.name for one in found.trace} & self.called
        awaited = [name for name in self.directions.legal(self.called) if name in self._needs]
        goal, met = found.target, {found.target}
        while True:
            goal = self._helper(goal, met)
            if goal in legal:
                return goal
            distances = self.directions.distances(goal)
            leading = [name for name in (*legal, *awaited) if name in distances and name not in done]
            if not leading:
                return self.rng.choice(self._back(goal, legal))
            least = min(distances[name] for name in leading)
            nearest = self.rng.choice([name for name in leading if distances[name] == least])
            if nearest in legal or nearest in met:
                return nearest if nearest in legal else self.rng.choice(legal)
            goal = nearest  # it is on the way, and its last error asks for something else first
            met.add(goal)

    def _back(self, goal: str, legal: list[str]) -> list[str]:
        """Where all on the way was called and the goal still fails: mostly what its values came from."""
        distances = self.directions.distances(goal)
        before = [name for name in legal if name != goal and name in distances]
        if not before or self.rng.random() > _BACK:
            return legal
        least = min(distances[name] for name in before)
        near = [name for name in before if distances[name] == least]
        return near if self.rng.random() < 0.6 else before

    def _helper(self, tool: str, met: set[str]) -> str:
        """What the last error of a tool asks for before; the tool itself if it met none."""
        while needed := [name for name in self._needs.get(tool, ()) if name not in met]:
            tool = self.rng.choice(needed)
            met.add(tool)
        return tool
