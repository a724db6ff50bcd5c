"""What a trace needs from the user, what it finds out by itself, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..explore.graph import Graph
from ..explore.trace import Executed, Path, Source, at, is_same, leaves, pattern
from ..explore.words import is_searched, is_vague, names_it, spoken, thing_of, tokens

Described = tuple[str, Any]
_SELDOM = 10  # of so many calls that succeed one fails, where any number will do
_ALIKE = 0.5  # least likeness of names for "the same as before" to say which value is meant


@dataclass(frozen=True)
class Given:
    """A value that the user has to give, since nothing in the trace yields it.

    Attributes:
        step: The call that needs it, by its number in the trace.
        parameter: Dotted path of the argument.
        value: The scalar, or the whole list.
        named: How it is told, if not by itself: (field, value) that picks a record out of a list.
        label: What it is called, if its parameter's own name does not tell; see `labels_of`.
    """

    step: int
    parameter: str
    value: Any
    named: Described | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """What the value is called."""
        return self.label or self.parameter.rpartition(".")[2]

    @property
    def shown(self) -> Described:
        """The name and value that the query tells."""
        return self.named or (self.name, self.value)


@dataclass(frozen=True)
class Needs:
    """A trace, taken apart.

    Attributes:
        trace: The successful calls.
        given: What the user gives, each value once.
        derived: Values that calls of the trace yield to later ones, and that are not given.
        goals: Numbers of the calls that the user wants: those that change something, and those whose answer
            no later call needs.
        earlier: Parameters whose value an earlier turn's answer holds.
        derived_as: The parameter of each of `derived`, as a dotted path.
        prepares: Numbers of the calls that yield nothing to later ones, which are refused without them.
    """

    trace: tuple[Executed, ...]
    given: tuple[Given, ...]
    derived: tuple[Any, ...]
    goals: tuple[int, ...]
    earlier: tuple[Given, ...]
    derived_as: tuple[str, ...] = ()
    prepares: tuple[int, ...] = ()

    @property
    def hidden(self) -> tuple[int, ...]:
        """Numbers of the calls that the hard query does not speak of."""
        return tuple(number for number in range(len(self.trace)) if number not in self.goals)


def needs_of(trace: Sequence[Executed], everything: Sequence[Executed], graph: Graph) -> Needs:
    """Takes a turn's trace apart.

    Args:
        trace: The turn's calls, successful all.
        everything: All successful calls of the conversation, these included.
        graph: Tells which calls prepare others.
    """
    start = trace[0].number
    places = {one.number: number for number, one in enumerate(trace)}
    given: dict[tuple[str, str], Given] = {}
    earlier: dict[str, Given] = {}
    derived: list[tuple[str, Any]] = []
    used: set[int] = set()
    for number, executed in enumerate(trace):
        labels = labels_of(executed.call.arguments)
        for parameter, value in values_of(executed.call.arguments):
            label = labels.get(parameter, "")
            source = executed.sources.get(parameter)
            origin = _origin(value, source, everything, executed.number)
            if origin is not None:
                step, path = origin
                named = _described(everything[step], path)
                picked = named is not None and not graph.opaque(executed.call.name, parameter)
                free = step >= start and (picked or _is_free(value, executed, parameter, graph))
                if not (
                    named == _UNCLEAR
                    or free
                    or _by_chance(everything[step], path, executed, parameter, graph)
                ):  # else the user gives it, and the call that shows it is not for this
                    if step >= start:
                        if not _echoes(everything[step], value):
                            used.add(places[step])
                        derived.append((parameter, value))
                        if named is not None:
                            given.setdefault(
                                (named[0], repr(named[1])), Given(number, parameter, value, named)
                            )
                    elif (
                        named is None
                        and _latest(everything, start, step, path, value)
                        and _means(parameter, _label(everything[step], path), everything[:start], value)
                    ):
                        earlier.setdefault(parameter, Given(number, parameter, value))
                    else:
                        given.setdefault(
                            (parameter, repr(value)), Given(number, parameter, value, None, label)
                        )
                    continue
            given.setdefault((parameter, repr(value)), Given(number, parameter, value, None, label))
    told = {repr(one.value) for one in given.values() if one.named is None}
    prepares = _preparations(trace, graph)
    goals = tuple(
        n for n, executed in enumerate(trace) if n not in prepares and (executed.changed or n not in used)
    ) or (len(trace) - 1,)
    kept = [one for one in derived if repr(one[1]) not in told]
    return Needs(
        *(tuple(trace), tuple(given.values()), tuple(value for _, value in kept), goals),
        *(tuple(earlier.values()), tuple(parameter for parameter, _ in kept)),
        tuple(sorted(prepares - used)),
    )


_UNCLEAR: Described = ("", None)


def values_of(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every scalar argument, and every list of scalars, with its dotted path."""
    found: list[tuple[str, Any]] = []
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{inner}", one) for inner, one in values_of(value)]
        elif isinstance(value, list) and any(isinstance(one, (Mapping, list)) for one in value):
            found += [
                (f"{name}.{'.'.join(str(p) for p in path if not isinstance(p, int))}".rstrip("."), one)
                for path, one in leaves(value)
            ]
        elif value is not None:
            found.append((name, value))
    return found


def labels_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """What parameters are called whose own names do not tell them apart: `x` inside `start` is `start_x`,
    where `end` has one too.
    """
    paths = list(dict.fromkeys(path for path, _ in values_of(arguments)))
    leaf = {path: path.rpartition(".")[2] for path in paths}
    own = list(leaf.values())
    return {path: path.replace(".", "_") for path in paths if "." in path and own.count(leaf[path]) > 1}


def _origin(
    value: Any, source: Source | None, everything: Sequence[Executed], before: int
) -> tuple[int, Path] | None:
    """The call whose answer holds the value, and where; None where it comes from elsewhere."""
    if source is None or source.kind != "result" or source.step >= before or isinstance(value, list):
        return None
    try:
        found = at(everything[source.step].result.value, source.path)
    except (KeyError, IndexError, TypeError):
        return None
    return (source.step, source.path) if is_same(found, value) else None


def _echoes(executed: Executed, value: Any) -> bool:
    """Whether a call was given the value that it answers; nobody calls it to find that out."""
    return any(one == value for _, one in values_of(executed.call.arguments))


def _described(executed: Executed, path: Path) -> Described | None:
    """How the user picks the record: None where there is one; `_UNCLEAR` where nothing tells them apart."""
    for depth, part in enumerate(path):
        held = at(executed.result.value, path[:depth])
        if not isinstance(part, int) and not _are_records(held):
            continue
        records = list(held.values()) if isinstance(held, Mapping) else held
        if len(records) == 1:
            continue
        mine = held[part]
        if not isinstance(mine, Mapping):
            return _UNCLEAR
        chosen = at(mine, path[depth + 1 :])
        for name, value in mine.items():
            if value == chosen or not _speakable(value):
                continue
            if sum(1 for one in records if isinstance(one, Mapping) and one.get(name) == value) == 1:
                return name, value
        return _UNCLEAR
    return None


def _are_records(value: Any) -> bool:
    """Whether the values of an object are records of one kind, each under its id."""
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) for one in value.values()):
        return False
    return bool(value) and bool(set.intersection(*map(set, value.values())))


def _speakable(value: Any) -> bool:
    """Whether people would name a thing by this: words, a day, a price; not a code of letters and digits."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, str):
        mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        return 2 < len(value) < 60 and not mixed
    return isinstance(value, (int, float))


def _label(executed: Executed, path: Path) -> str:
    """How an answer names what stands in it."""
    return f"{executed.call.name}/{pattern(path)}"


def _latest(everything: Sequence[Executed], start: int, step: int, path: Path, value: Any) -> bool:
    """Whether no later call of the earlier turns answered another value in that place."""
    name = everything[step].call.name
    for other in everything[step + 1 : start]:
        if other.call.name == name:
            try:
                if not is_same(at(other.result.value, path), value):
                    return False
            except (KeyError, IndexError, TypeError):
                continue
    return True


def _means(parameter: str, label: str, earlier: Sequence[Executed], value: Any) -> bool:
    """Whether "the same as before" can mean a value under a label: the conversation held it last under the
    parameter's own name, or held nothing there, and both names are of one thing (no start time is a date).
    """
    own = parameter.rpartition(".")[2]
    if names_it(own, label) < _ALIKE:
        return False
    for executed in reversed(earlier):
        for held in (executed.answered, leaves(executed.call.arguments)):
            found = [one for path, one in held if own in path[-1:]]
            if found:
                return any(is_same(one, value) for one in found)
    return tokens(spoken(own).rpartition(" ")[2]) <= tokens(label)


def _by_chance(source: Executed, path: Path, user: Executed, parameter: str, graph: Graph) -> bool:
    """Whether nobody could tell that a value is this answer's: another call of the very tool gave it, under
    another name, and any value would have done (a step's number that equals a count of steps); or it is a
    number, or what is looked for, under a name that has nothing to do with it (a weight of 2 that is a
    priority; the status `open` as a query).
    """
    tool, own = user.call.name, parameter.rpartition(".")[2]
    value = at(source.result.value, path)
    chosen = isinstance(value, (int, float)) or is_searched(own)
    if chosen and names_it(thing_of(own), _label(source, path)) < _ALIKE:
        return True
    return source.call.name == tool and own not in path[-1:] and not graph.opaque(tool, parameter)


def _is_free(value: Any, user: Executed, parameter: str, graph: Graph) -> bool:
    """Whether people say a value themselves, though an answer of this turn holds it: any would have done, and
    it is what something new or changed is to hold (a title, a day), or a number of which nothing but that is
    told (the `value` of one conversion for the next).
    """
    own, record = parameter.rpartition(".")[2], graph.tools[user.call.name]
    number = isinstance(value, (int, float))
    if number and own == "value" and record.failed * _SELDOM <= record.ok:
        return True
    return ((number and is_vague(own)) or user.changed) and not graph.opaque(user.call.name, parameter)


def _preparations(trace: Sequence[Executed], graph: Graph) -> set[int]:
    """Calls that only make later ones possible, as a login does."""
    found = set()
    for number, executed in enumerate(trace):
        later = {one.call.name for one in trace[number + 1 :]}
        if any(executed.call.name in graph.tools[name].requires for name in later if name in graph.tools):
            found.add(number)
    return found


def is_independent(first: Executed, second: Executed, graph: Graph) -> bool:
    """Whether two calls may stand in one response: the second needs nothing of the first.

    Args:
        first: The call before.
        second: The call after.
        graph: Knows what the second one needs.
    """
    if any(source.kind == "result" and source.step == first.number for source in second.sources.values()):
        return False
    record = graph.tools.get(second.call.name)
    needed = {*(record.requires if record else ()), *(record.enabled if record else ())}
    return first.call.name not in needed and not first.changed
