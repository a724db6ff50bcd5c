"""Comparing calls with a gold that accepts several values an argument, as BFCL's possible answers do.

In a possible answer, `{"f": {"a": [1, 2], "b": ["x", ""]}}`, each argument lists the values that are right,
and "" among them says that it may be left out. Inside an accepted object every key lists its accepted values
in turn; a list of objects holds one such object a place (bfcl_eval/eval_checker/ast_eval/ast_checker.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .match import Canon, Match, Strings
from .schema import ANY, MISSING, Schema
from .types import Call

OMITTED = ""


@dataclass(frozen=True)
class AcceptedCall:
    """One gold call with the values that are right for each of its arguments.

    Attributes:
        name: The tool's name.
        arguments: Argument name to its accepted values; "" among them: the argument may be left out.
    """

    name: str
    arguments: Mapping[str, Sequence[Any]]

    def example(self) -> Call:
        """A call that is right: the first accepted value of every argument that has one.

        Raises:
            ValueError: if an argument accepts nothing, so that no call can be right.
        """
        found = {name: _example(values) for name, values in self.arguments.items()}
        return Call(self.name, {name: value for name, value in found.items() if value is not MISSING})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AcceptedCall:
        """Reads `{"name": …, "accepted": {argument: [value, …]}}`.

        Raises:
            ValueError: if it is anything else.
        """
        accepted = value["accepted"]
        if not isinstance(accepted, Mapping) or not all(isinstance(item, list) for item in accepted.values()):
            raise ValueError("accepted names a list of values for each argument")
        return cls(value["name"], accepted)


def _example(values: Any) -> Any:
    """The first accepted value, `MISSING` if only leaving it out is accepted."""
    if not isinstance(values, list):
        return values
    if not values:
        raise ValueError("an argument for which no value is accepted")
    for value in values:
        if value != OMITTED:
            return _plain(value)
    return MISSING


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        found = {name: _example(values) for name, values in value.items()}
        return {name: item for name, item in found.items() if item is not MISSING}
    if isinstance(value, list):
        return [_plain(item) if isinstance(item, Mapping) else item for item in value]
    return value


class Acceptance:
    """The accepted values of a gold, compiled; comparing with it again costs little.

    Types and values are compared as in `match_calls`. An argument may be left out if "" is accepted, or if
    what it then defaults to is; an argument that is not required may be written out with its default.

    Args:
        gold: The right calls.
        tools: The offered tools, or their `index_tools`.
        strings: As in `match_calls`.
    """

    def __init__(
        self,
        gold: Sequence[AcceptedCall],
        tools: Iterable[Mapping[str, Any]] | Mapping[str, Schema] = (),
        strings: Strings = "bfcl",
    ) -> None:
        canon = Canon(tools, strings)
        self._names = Counter(call.name for call in gold)
        self._fits = [_Fits(canon, call) for call in gold]

    def match(self, predicted: Sequence[Call], *, ordered: bool = False) -> Match:
        """Whether every gold call has a call of its own that it accepts; as `match_calls`."""
        fits = self._fits
        if len(predicted) != len(fits):
            return Match(False, "count")
        if Counter(call.name for call in predicted) != self._names:
            return Match(False, "tools")
        if all(fit(call) for fit, call in zip(fits, predicted, strict=True)):
            return Match(True, "equal")
        if _assignable([[fit(call) for call in predicted] for fit in fits]):
            return Match(not ordered, "order" if ordered else "equal")
        named = _assignable([[fit.names(call) for call in predicted] for fit in fits])
        return Match(False, "values" if named else "arguments")


def _assignable(fits: Sequence[Sequence[bool]]) -> bool:
    """Whether every gold call can have a predicted call of its own (augmenting paths; n calls: n^3 steps)."""
    owner: dict[int, int] = {}

    def place(gold: int, tried: set[int]) -> bool:
        for at, fit in enumerate(fits[gold]):
            if fit and at not in tried:
                tried.add(at)
                if at not in owner or place(owner[at], tried):
                    owner[at] = gold
                    return True
        return False

    return all(place(gold, set()) for gold in range(len(fits)))


class _Fits:
    """Whether a call is one that a gold call accepts."""

    def __init__(self, canon: Canon, gold: AcceptedCall) -> None:
        self.name = gold.name
        self.check = _Object(canon, gold.arguments, canon.index.get(gold.name, ANY))

    def __call__(self, call: Call) -> bool:
        return call.name == self.name and self.check(call.arguments)

    def names(self, call: Call) -> bool:
        return call.name == self.name and self.check.names(call.arguments)


_Check = Callable[[Any], bool]


class _Object:
    """Whether an object has accepted values: `accepted` maps each key to a list of them, or to one value."""

    def __init__(self, canon: Canon, accepted: Mapping[str, Any], schema: Schema) -> None:
        self.keys: dict[str, _Check] = {}
        self.required: set[str] = set()
        for name, values in accepted.items():
            part = schema.properties.get(name, ANY)
            default = _default(schema, name, part)
            check = _any_of(canon, values if isinstance(values, list) else [values], part)
            may_be_omitted = isinstance(values, list) and OMITTED in values
            if may_be_omitted and default is not MISSING:
                check = _either(check, _exactly(canon, default, part))
            self.keys[name] = check
            if not may_be_omitted and (default is MISSING or not check(default)):
                self.required.add(name)
        for name, part in schema.properties.items():
            default = _default(schema, name, part)
            if name not in self.keys and default is not MISSING:
                self.keys[name] = _exactly(canon, default, part)

    def __call__(self, value: Any) -> bool:
        if not isinstance(value, Mapping) or not self.names(value):
            return False
        return all(self.keys[name](item) for name, item in value.items())

    def names(self, value: Mapping[str, Any]) -> bool:
        return value.keys() <= self.keys.keys() and self.required <= value.keys()


def _default(schema: Schema, name: str, part: Schema) -> Any:
    """What an argument stands for when it is left out; `MISSING` if it must not be, or if that is unsaid."""
    return MISSING if name in schema.required else part.default


def _any_of(canon: Canon, accepted: Sequence[Any], schema: Schema) -> _Check:
    plain: set[Hashable] = set()
    checks: list[_Check] = []
    for value in accepted:
        if isinstance(value, Mapping):
            checks.append(_Object(canon, value, schema))
        elif value == OMITTED:
            continue  # it says that the argument may be left out; as a value it would be a wrong one
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            checks.append(_places(canon, value, schema.items or ANY))
        else:
            plain.add(canon.value(value, schema))
    return lambda value: canon.value(value, schema) in plain or any(check(value) for check in checks)


def _places(canon: Canon, accepted: Sequence[Any], schema: Schema) -> _Check:
    """A list of objects: each of its places has its own accepted object."""
    checks = [_any_of(canon, [item], schema) for item in accepted]

    def check(value: Any) -> bool:
        return (
            isinstance(value, list | tuple)
            and len(value) == len(checks)
            and all(fit(item) for fit, item in zip(checks, value, strict=True))
        )

    return check


def _exactly(canon: Canon, wanted: Any, schema: Schema) -> _Check:
    form = canon.value(wanted, schema)
    return lambda value: canon.value(value, schema) == form


def _either(one: _Check, other: _Check) -> _Check:
    return lambda value: one(value) or other(value)
