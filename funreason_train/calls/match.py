"""Whether two lists of calls ask for the same thing.

Every call is turned into a hashable canonical form that knows its tool's schema; equal calls have equal
forms, so that comparing lists as multisets takes time linear in their size, whatever a model wrote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    return Matcher(gold, tools, strings).match(predicted, ordered=ordered)


class Matcher:
    """Right calls in their canonical form; comparing with them again costs little.

    Args:
        gold: The right calls.
        tools: As in `match_calls`.
        strings: As in `match_calls`.
    """

    def __init__(
        self,
        gold: Sequence[Call],
        tools: Iterable[Mapping[str, Any]] | Mapping[str, Schema] = (),
        strings: Strings = "exact",
    ) -> None:
        self._canon = Canon(tools, strings)
        self._calls = gold
        self._names = [call.name for call in gold]
        self._keys = [call.arguments.keys() for call in gold]

    @cached_property
    def _gold(self) -> list[CallForm]:
        return list(map(self._canon.call, self._calls))

    def match(self, predicted: Sequence[Call], *, ordered: bool = False) -> Match:
        """As `match_calls`."""
        if len(predicted) != len(self._calls):
            return _COUNT
        names = [call.name for call in predicted]
        if names != self._names and sorted(names) != sorted(self._names):
            return _TOOLS
        ours, theirs = list(map(self._canon.call, predicted)), self._gold
        if ours == theirs:
            return _EQUAL
        if _permuted(ours, theirs):
            return Match(False, "order") if ordered else _EQUAL
        if names == self._names and [call.arguments.keys() for call in predicted] == self._keys:
            return _VALUES
        return _VALUES if Counter(map(_shape, ours)) == Counter(map(_shape, theirs)) else _ARGUMENTS


_EQUAL, _COUNT, _TOOLS = Match(True, "equal"), Match(False, "count"), Match(False, "tools")
_ARGUMENTS, _VALUES = Match(False, "arguments"), Match(False, "values")


def _permuted(ours: list[Any], theirs: list[Any]) -> bool:
    """Whether two lists of the same length, known to differ, differ in their order alone."""
    return len(ours) > 1 and set(ours) == set(theirs) and Counter(ours) == Counter(theirs)


def _shape(form: CallForm) -> tuple[str, frozenset[str]]:
    return form[0], frozenset([name for name, _ in form[1]])


_TEXTS, _WHOLE_NUMBERS = {str}, {int}

CallForm = tuple[str, frozenset[tuple[str, Hashable]]]


class Canon:
    """Turns calls into hashable forms; two calls mean the same exactly if their forms are equal.

    Args:
        tools: The offered tools, or their `index_tools`.
        strings: As in `match_calls`.
    """

    def __init__(
        self, tools: Iterable[Mapping[str, Any]] | Mapping[str, Schema] = (), strings: Strings = "exact"
    ) -> None:
        self.index: Mapping[str, Schema] = tools if isinstance(tools, Mapping) else index_tools(tools)
        self._exact = strings == "exact"
        self._defaults: dict[int, list[tuple[str, Hashable]]] = {}  # by the schema's id

    def call(self, call: Call) -> CallForm:
        """The form of one call: its name, and a form for each argument, stated or defaulted."""
        return call.name, self._object(call.arguments, self.index.get(call.name, ANY))

    def _object(self, value: Mapping[str, Any], schema: Schema) -> frozenset[tuple[str, Hashable]]:
        properties, exact = schema.properties, self._exact
        forms = [
            (name, item if exact and type(item) is str else self.value(item, properties.get(name, ANY)))
            for name, item in value.items()
        ]
        if not properties:
            return frozenset(forms)
        defaults = self._defaults.get(id(schema))
        if defaults is None:
            defaults = self._defaults[id(schema)] = [
                (name, self.value(part.default, part))
                for name, part in properties.items()
                if part.default is not MISSING and name not in schema.required
            ]
        forms += [pair for pair in defaults if pair[0] not in value]
        return frozenset(forms)

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
