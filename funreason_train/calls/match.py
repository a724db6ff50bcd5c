"""Whether two lists of calls ask for the same thing.

Every call is turned into a hashable canonical form that knows its tool's schema; equal calls have equal
forms, so that comparing lists as multisets takes time linear in their size, whatever a model wrote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    if len(predicted) != len(gold):
        return Match(False, "count")
    canon = Canon(tools, strings)
    ours, theirs = [canon.call(call) for call in predicted], [canon.call(call) for call in gold]
    if ours == theirs:
        return Match(True, "equal")
    if Counter(ours) == Counter(theirs):
        return Match(not ordered, "order" if ordered else "equal")
    if Counter(call.name for call in predicted) != Counter(call.name for call in gold):
        return Match(False, "tools")
    if Counter((n, frozenset(a)) for n, a in map(_shape, ours)) != Counter(
        (n, frozenset(a)) for n, a in map(_shape, theirs)
    ):
        return Match(False, "arguments")
    return Match(False, "values")


def _shape(form: CallForm) -> tuple[str, Iterable[str]]:
    return form[0], (name for name, _ in form[1])


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
        self._string: Callable[[str], str] = _bfcl_string if strings == "bfcl" else str

    def call(self, call: Call) -> CallForm:
        """The form of one call: its name, and a form for each argument, stated or defaulted."""
        return call.name, self._object(call.arguments, self.index.get(call.name, ANY))

    def _object(self, value: Mapping[str, Any], schema: Schema) -> frozenset[tuple[str, Hashable]]:
        forms = [(name, self.value(item, schema.properties.get(name, ANY))) for name, item in value.items()]
        for name, part in schema.properties.items():
            if name not in value and part.default is not MISSING and name not in schema.required:
                forms.append((name, self.value(part.default, part)))
        return frozenset(forms)

    def value(self, value: Any, schema: Schema) -> Hashable:
        if isinstance(value, str):
            return self._string(value)
        if value is None:
            return None
        if isinstance(value, bool):
            return "bool", value  # a plain True would equal 1
        if isinstance(value, int):
            return "number" if schema.is_number else "int", value
        if isinstance(value, float):
            if value != value:
                return object()  # equal to nothing
            return "number" if schema.is_number else "float", value
        if isinstance(value, Mapping):
            return "object", self._object(value, schema)
        return "array", tuple(self.value(item, schema.items or ANY) for item in value)


def _bfcl_string(text: str) -> str:
    return _BFCL_IGNORED.sub("", text).lower().replace("'", '"')
