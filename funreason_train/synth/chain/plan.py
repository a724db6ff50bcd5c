"""The turns of one conversation before anybody speaks: kinds, traces, and how calls share responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ...calls import Call
from ..explore.sampler import Sampled, Sampler
from ..explore.trace import Executed, leaves
from .needs import Given, Needs, is_independent, needs_of
from .purposes import purposes

#: Every kind of turn, and what it is.
KINDS: Mapping[str, str] = {
    "plain": "a hard query and the calls that serve it",
    "parallel": "calls that need nothing of each other, in one response",
    "missing_parameter": "a value is missing, asked for and then given",
    "missing_tool": "a request whose tool is not offered, and again once it is",
    "no_tool": "a request that no offered tool serves",
    "error": "a call that fails, and the recovery from it",
    "correction": "the user corrects a value, and the call is made again",
    "long": "a long text around the request, a larger world and all tools offered",
}


class CannotPlan(Exception):
    """This draw gives no such turn.

    Args:
        reason: A slug for the funnel.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass
class Planned:
    """One turn as it is to be played.

    Attributes:
        kind: One of `KINDS`.
        needs: The trace taken apart.
        steps: The gold calls of each response, in order.
        sampled: How the trace came about.
        failing: Step -> the failing calls that come before it, one a response.
        slot: What the user does not tell at first.
        withheld: The tool that a `missing_tool` turn is about, which appears after the first request.
        corrected: What the user takes back in a `correction`: (parameter, new value).
        foreign: The document of the tool that a `no_tool` request is about.
        start: The number of the conversation's calls before it.
    """

    kind: str
    needs: Needs
    steps: list[tuple[Executed, ...]]
    sampled: Sampled
    failing: dict[int, list[Executed]] = field(default_factory=dict)
    slot: Given | None = None
    withheld: str = ""
    corrected: tuple[str, Any] | None = None
    foreign: Mapping[str, Any] | None = None
    start: int = 0

    @property
    def gold(self) -> list[Call]:
        """All calls of the turn."""
        return [one.call for step in self.steps for one in step]


def plan_turn(
    sampler: Sampler,
    kind: str,
    target: str,
    extra: int,
    rng: Random,
    previous: Sequence[Planned] = (),
    foreign: Sequence[Mapping[str, Any]] = (),
    directed: bool = True,
) -> Planned:
    """Plans and executes one turn in the sampler's live environment.

    Args:
        sampler: Of the conversation.
        kind: One of `KINDS`.
        target: The tool to aim at, where `directed`; otherwise calls are drawn at random.
        extra: Calls beyond the target.
        rng: Of every choice.
        previous: The turns before.
        foreign: Documents of tools that this environment does not have.
        directed: Whether the trace is the directed sampler's.

    Raises:
        CannotPlan: this draw gives no such turn; the environment has gone on all the same.
    """
    if kind == "no_tool":
        return _no_tool(sampler, rng, foreign)
    if kind == "correction":
        return _correction(sampler, rng, previous)
    start = len(sampler.history)
    more = extra + (kind == "parallel")
    sampled = sampler.turn(target, more) if directed else sampler.walk(rng.randint(1, 3) + more)
    if getattr(sampler.environment, "fault", None):
        raise CannotPlan("server_fault")
    if not sampled.reached:
        raise CannotPlan("target_not_reached")
    trace, failures = _pruned(sampled)
    needs = needs_of(trace, sampler.history, sampler.graph)
    steps: list[tuple[Executed, ...]] = [(one,) for one in trace]
    planned = Planned(kind, needs, steps, sampled, start=start)
    if kind == "parallel":
        planned.steps = _joined(trace, sampler)
        if len(planned.steps) == len(trace):
            raise CannotPlan("nothing_parallel")
    elif kind == "missing_parameter":
        slots = [one for one in needs.given if _askable(one, needs)]
        if not slots:
            raise CannotPlan("nothing_to_ask_for")
        planned.slot = rng.choice(slots)
    elif kind == "missing_tool":
        goals = {trace[number].call.name for number in needs.goals}
        before = {call.name for plan in previous for call in plan.gold}
        if len(goals) > 1 or goals & before:  # part of it could be done, or the tool was there
            raise CannotPlan("nothing_to_withhold")
        planned.withheld = goals.pop()
    elif kind == "error":
        planned.failing = _recovered(failures, trace)
        if not planned.failing:
            raise CannotPlan("nothing_failed")
    return planned


def _pruned(sampled: Sampled) -> tuple[list[Executed], dict[int, list[Executed]]]:
    """The trace without lookups that nothing needed or that were made before; the failures of the rest."""
    trace = sampled.trace
    keep = [True] * len(trace)
    target = next(n for n, one in enumerate(trace) if one.call.name == sampled.target)
    for number in reversed(range(target)):
        if not trace[number].changed:
            keep[number] = any(keep[later] and _needs(one, trace[number]) for later, one in enumerate(trace))
    for number in _repeated(trace):
        keep[number] = keep[number] and number == target
    kept: list[Executed] = []
    failures: dict[int, list[Executed]] = {}
    for number, one in enumerate(trace):
        if keep[number]:
            if number in sampled.failures:
                failures[len(kept)] = sampled.failures[number]
            kept.append(one)
    return kept, failures


def _recovered(
    failures: Mapping[int, Sequence[Executed]], trace: Sequence[Executed]
) -> dict[int, list[Executed]]:
    """The last failed call before each step, of those whose tool is called with success from there on; the
    same one stands there once. Others have nothing to do with what is asked for.
    """
    found: dict[int, list[Executed]] = {}
    shown: list[Call] = []
    for step in sorted(failures, reverse=True):
        wanted = {one.call.name for one in trace[step:]}
        some = [one for one in failures[step] if one.call.name in wanted and one.call not in shown]
        if some:
            found[step] = some[-1:]
            shown.append(some[-1].call)
    return dict(sorted(found.items()))


def _needs(later: Executed, earlier: Executed) -> bool:
    """Whether a call has a value of another one's answer, or one given to it that a server keeps unseen."""
    for source in later.sources.values():
        if source.kind == "result" and source.step == earlier.number:
            return True
        tool, _, parameter = source.label.partition("/")
        if source.kind == "said" and tool == earlier.call.name:
            told = earlier.call.arguments.get(parameter)
            if any(value == told for _, value in leaves(later.call.arguments)):
                return True
    return False


def _repeated(trace: Sequence[Executed]) -> list[int]:
    """Numbers of calls that only ask once more what was answered already, and whose answer nothing uses."""
    used = {s.step for one in trace for s in one.sources.values() if s.kind == "result"}
    found, seen = [], list[Call]()
    for number, one in enumerate(trace):
        if one.changed:
            seen = []
        elif one.call in seen and one.number not in used:
            found.append(number)
        else:
            seen.append(one.call)
    return found


def _joined(trace: Sequence[Executed], sampler: Sampler) -> list[tuple[Executed, ...]]:
    """Neighbouring calls that need nothing of each other, two and three to a response."""
    steps: list[list[Executed]] = []
    for one in trace:
        last = steps[-1] if steps else []
        if last and len(last) < 3 and all(is_independent(other, one, sampler.graph) for other in last):
            last.append(one)
        else:
            steps.append([one])
    return [tuple(step) for step in steps]


def _askable(one: Given, needs: Needs) -> bool:
    """Whether people might forget this value and give it later: one that is told by itself, once."""
    simple = isinstance(one.value, (str, int, float)) and not isinstance(one.value, bool)
    told = [value for other in needs.given for value in _each(other.value)]
    again = sum(repr(value) == repr(one.value) for value in told)
    return simple and one.named is None and again == 1 and one.step in needs.goals


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _no_tool(sampler: Sampler, rng: Random, foreign: Sequence[Mapping[str, Any]]) -> Planned:
    if not foreign:
        raise CannotPlan("no_foreign_tool")
    needs = Needs((), (), (), (), ())
    return Planned(
        "no_tool", needs, [], Sampled(""), foreign=rng.choice(list(foreign)), start=len(sampler.history)
    )


def _correction(sampler: Sampler, rng: Random, previous: Sequence[Planned]) -> Planned:
    """The last turn's call once more, with another value in place of one that the user gave."""
    if not previous or not previous[-1].needs.trace:
        raise CannotPlan("nothing_to_correct")
    before = previous[-1]
    options = [
        one
        for one in before.needs.given  # of two titles nobody could tell which is taken back
        if _askable(one, before.needs) and "." not in one.parameter and not purposes(before.needs, one)
    ]
    if not options:
        raise CannotPlan("nothing_to_correct")
    slot = rng.choice(options)
    old = before.needs.trace[slot.step]
    start = len(sampler.history)
    for _ in range(sampler.draws):
        drawn, sources = sampler.drawer.arguments(old.call.name, rng)
        value = drawn.get(slot.parameter)
        if value is None or value == slot.value or sources[slot.parameter].kind == "result":
            continue
        call = Call(old.call.name, {**old.call.arguments, slot.parameter: value})
        executed = sampler.execute(call, {**old.sources, slot.parameter: sources[slot.parameter]})
        if executed.result.ok:
            sampled = Sampled(old.call.name, [executed], reached=True, calls=1, calls_to_target=1)
            given = (Given(0, slot.parameter, value),)
            needs = Needs((executed,), given, (), (0,), ())
            steps: list[tuple[Executed, ...]] = [(executed,)]
            corrected = (slot.parameter, value)
            return Planned("correction", needs, steps, sampled, corrected=corrected, start=start)
    raise CannotPlan("nothing_to_correct")
