"""Whether two lists of calls ask for the same thing.

Every call is turned into a hashable canonical form that knows its tool's schema; equal calls have equal
forms, so that comparing lists as multisets takes time linear in their size, whatever a model wrote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

from .schema import ANY, MISSING, Schema, index_tools
from .types import Call

Strings = Literal["exact", "bfcl"]
STRING_RULES: tuple[Strings, ...] = ("exact", "bfcl")

_BFCL_IGNORED = re.compile(r"[ ,./\-_*^]")


@dataclass(frozen=True)
class Match:
    """The outcome of a comparison.

    Attributes:
        equal: Whether the calls are the same.
        reason: `equal`, or the first difference: `count`, `tools` (the names), `arguments` (their names),
            `values`, `order`.
    """

    equal: bool
    reason: str

    def __bool__(self) -> bool:
        return self.equal


def match_calls(
    predicted: Sequence[Call],
    gold: Sequence[Call],
    tools: Iterable[Mapping[str, Any]] | Mapping[str, Schema] = (),
    *,
    ordered: bool = False,
    strings: Strings = "exact",
) -> Match:
    """Compares two lists of calls, one to one.

    A bool is never a number; 1 equals 1.0 only where the schema says number; an omitted optional argument
    equals its stated default; lists keep their order, objects do not; NaN equals nothing.

    Args:
        predicted: The model's calls.
        gold: The right calls.
        tools: The offered tools, or their `index_tools`; without a tool's schema, types are compared exactly.
        ordered: Whether the order of the calls matters.
        strings: `exact`, or `bfcl` for BFCL's rule: case, spaces and ``,./-_*^`` do not count, ' equals ".
    """
    return Canon(tools, strings).match(predicted, gold, ordered=ordered)


_EQUAL, _COUNT, _TOOLS = Match(True, "equal"), Match(False, "count"), Match(False, "tools")
_ARGUMENTS, _VALUES = Match(False, "arguments"), Match(False, "values")
_ORDER = Match(False, "order")


def _same_keys(one: Call, other: Call) -> bool:
    return one.arguments.keys() == other.arguments.keys()


def _permuted(ours: list[Any], theirs: list[Any]) -> bool:
    """Whether two lists of the same length hold the same, in whatever order."""
    return ours == theirs or (len(ours) > 1 and set(ours) == set(theirs) and Counter(ours) == Counter(theirs))


_TEXTS, _WHOLE_NUMBERS = {str}, {int}
_SCALARS = {int, float, bool, type(None)}  # of these, two of one type have equal forms if they are equal

CallForm = tuple[str, frozenset[tuple[str, Hashable]]]


class Canon:
    """Turns calls into hashable forms; two calls mean the same exactly if their forms are equal.

    It remembers what it has learnt of the tools, so that comparing again costs less.

    Args:
        tools: The offered tools, or their `index_tools`.
        strings: As in `match_calls`.
    """

    def __init__(
        self, tools: Iterable[Mapping[str, Any]] | Mapping[str, Schema] = (), strings: Strings = "exact"
    ) -> None:
        self.index: Mapping[str, Schema] = tools if isinstance(tools, Mapping) else index_tools(tools)
        self._exact = strings == "exact"
        self._defaults: dict[int, dict[str, Hashable]] = {}  # by the schema's id

    def match(self, predicted: Sequence[Call], gold: Sequence[Call], *, ordered: bool = False) -> Match:
        """As `match_calls`. Forms are built only where names and plain values leave the question open."""
        if len(predicted) != len(gold):
            return _COUNT
        names, wanted = [call.name for call in predicted], [call.name for call in gold]
        if names != wanted and sorted(names) != sorted(wanted):
            return _TOOLS
        if names == wanted and all(map(_same_keys, predicted, gold)):
            if all(map(self._same, predicted, gold)):
                return _EQUAL
            if len(set(names)) == len(names):  # no call has another partner
                return _VALUES
        elif not _permuted([self._names(call) for call in predicted], [self._names(call) for call in gold]):
            return _ARGUMENTS
        ours, theirs = [self.call(call) for call in predicted], [self.call(call) for call in gold]
        if ours == theirs:
            return _EQUAL
        if _permuted(ours, theirs):
            return _ORDER if ordered else _EQUAL
        return _VALUES

    def call(self, call: Call) -> CallForm:
        """The form of one call: its name, and a form for each argument, stated or defaulted."""
        return call.name, self._object(call.arguments, self.index.get(call.name, ANY))

    def _names(self, call: Call) -> tuple[str, frozenset[str]]:
        """Its name and the names in its form: of its arguments, stated or defaulted."""
        defaulted = self._defaulted(self.index.get(call.name, ANY))
        return call.name, frozenset(call.arguments.keys() | defaulted.keys())

    def _same(self, one: Call, other: Call) -> bool:
        """Whether two calls with the same name and the same argument names have equal forms."""
        schema, wanted = self.index.get(one.name, ANY), other.arguments
        properties, beyond = schema.properties, schema.others or ANY
        for name, item in one.arguments.items():
            value, kind = wanted[name], type(item)
            if kind is type(value) and (kind in _SCALARS or (kind is str and self._exact)):
                if item != value:
                    return False
                continue
            part = properties.get(name, beyond)
            if self.value(item, part) != self.value(value, part):
                return False
        return True

    def _object(self, value: Mapping[str, Any], schema: Schema) -> frozenset[tuple[str, Hashable]]:
        properties, exact, beyond = schema.properties, self._exact, schema.others or ANY
        forms = [
            (name, item if exact and type(item) is str else self.value(item, properties.get(name, beyond)))
            for name, item in value.items()
        ]
        if properties:
            forms += [pair for pair in self._defaulted(schema).items() if pair[0] not in value]
        return frozenset(forms)

    def _defaulted(self, schema: Schema) -> dict[str, Hashable]:
        """The forms of what an object's keys stand for when they are left out."""
        found = self._defaults.get(id(schema))
        if found is None:
            found = self._defaults[id(schema)] = {
                name: self.value(part.default, part)
                for name, part in schema.properties.items()
                if part.default is not MISSING and name not in schema.required
            }
        return found

    def value(self, value: Any, schema: Schema) -> Hashable:
        """The form of one value that its schema describes."""
        kind = type(value)
        if kind is str:
            return value if self._exact else _bfcl_string(value)
        if kind is bool:
            return "bool", value  # a plain True would equal 1
        if kind is int:
            return "number" if schema.is_number else "int", value
        if value is None:
            return None
        if kind is float:
            if value != value:
                return object()  # equal to nothing
            return "number" if schema.is_number else "float", value
        if kind is dict or (kind is not list and isinstance(value, Mapping)):
            return "object", self._object(value, schema)
        return "array", self._array(value, schema.items or ANY)

    def _array(self, values: Sequence[Any], schema: Schema) -> tuple[Hashable, ...]:
        """`value` of every item; for a list of nothing but texts or whole numbers without a call for each."""
        kinds = set(map(type, values))
        if self._exact and kinds == _TEXTS:
            return tuple(values)
        if kinds == _WHOLE_NUMBERS:
            return tuple(zip(repeat("number" if schema.is_number else "int"), values))
        return tuple([self.value(item, schema) for item in values])


def _bfcl_string(text: str) -> str:
    return _BFCL_IGNORED.sub("", text).lower().replace("'", '"')
