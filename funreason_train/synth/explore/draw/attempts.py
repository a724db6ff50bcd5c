"""What was tried in a conversation and failed, so that it is not tried again, and what errors asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..evidence import named_in_error
from ..trace import Executed, named_scalars

_TOKEN = re.compile(r"[\w.:@-]*\w")
_Place = tuple[str, Any]  # a dotted parameter and a value


class Attempts:
    """Failures in the state as it stands; whatever changes the state makes them worth another try."""

    def __init__(self) -> None:
        self._blamed: dict[str, list[frozenset[_Place]]] = {}
        self._single: set[tuple[str, str, Any]] = set()
        self._whole: set[tuple[str, str]] = set()
        self._asked: dict[str, frozenset[str]] = {}
        self._union: frozenset[str] | None = None
        self._numbers: dict[tuple[str, str], float] = {}

    def failed(self, executed: Executed) -> None:
        """Takes in a call that failed: the values that its error quotes are at fault, or else all of them."""
        name, blamed = executed.call.name, named_in_error(executed)
        pairs = frozenset(pair for pair in named_scalars(executed.call.arguments) if pair[0] in blamed)
        if not pairs:
            self._whole.add((name, _text(executed.call.arguments)))
        elif len(pairs) == 1:
            self._single |= {(name, *pair) for pair in pairs}
        else:
            self._blamed.setdefault(name, []).append(pairs)
        for place, value in named_scalars(executed.call.arguments):
            source = executed.sources.get(place)
            if source is not None and source.kind == "made" and isinstance(value, (int, float)):
                self._numbers[(name, place)] = value
        quoted = set(_TOKEN.findall(executed.result.text))
        self._union = None
        self._asked[name] = frozenset(
            quoted - {str(value) for _, value in named_scalars(executed.call.arguments)}
        )

    def changed(self) -> None:
        """The state is another now."""
        self._blamed.clear()
        self._single.clear()
        self._whole.clear()
        self._numbers.clear()

    def succeeded(self, tool: str) -> None:
        """Nothing is asked for any more by this tool."""
        if self._asked.pop(tool, None) is not None:
            self._union = None

    def is_bad(self, tool: str, place: str, value: Any) -> bool:
        """Whether this value alone made a call fail."""
        return (tool, place, value) in self._single

    def number(self, tool: str, place: str) -> float | None:
        """The made-up number that a call failed with last, in this state."""
        return self._numbers.get((tool, place))

    def has_failed(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether these arguments hold what has failed."""
        pairs = named_scalars(arguments)
        if any((tool, *pair) in self._single for pair in pairs):
            return True
        if (tool, _text(arguments)) in self._whole:
            return True
        held = set(pairs)
        return any(one <= held for one in self._blamed.get(tool, ()))

    @property
    def asking(self) -> bool:
        """Whether there is an error that is still to be dealt with."""
        return bool(self._asked)

    def asks_for(self, value: Any) -> bool:
        """Whether an error that is still to be dealt with quotes this value, which its call did not hold."""
        if self._union is None:
            self._union = frozenset().union(*self._asked.values())
        text = str(value)
        return len(text) > 1 and text in self._union


def spoken_of(executed: Executed) -> list[_Place]:
    """The scalars of a call that the user has told: those that no answer gave."""
    found_out = {place for place, source in executed.sources.items() if source.kind == "result"}
    return [one for one in named_scalars(executed.call.arguments) if one[0] not in found_out]


def _text(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str)
