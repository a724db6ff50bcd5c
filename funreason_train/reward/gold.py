"""Reading a row's ground truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from funreason_train.calls import (
    Acceptance,
    AcceptedCall,
    Call,
    Match,
    Matcher,
    Schema,
    index_tools,
    render_calls,
)
from funreason_train.calls.match import Strings
from funreason_train.calls.parse import MAX_CALLS, MAX_CHARS, MAX_DEPTH


@dataclass(frozen=True, eq=False)
class Gold:
    """What a ground truth says.

    Attributes:
        calls: The right calls; none means that plain text is right. Of a gold that accepts several values,
            one choice of them.
        tools: The schemas of the tools that these calls use.
        acceptance: The accepted values, for a gold that has lists of them.
        turns: User turns of the task, for a row that is an episode.
    """

    calls: tuple[Call, ...]
    tools: Mapping[str, Schema]
    acceptance: Acceptance | None = None
    turns: int | None = None
    _matchers: dict[Strings, Matcher] = field(default_factory=dict, repr=False)

    @cached_property
    def text(self) -> str | None:
        """What the model would write to make these very calls; None if nothing reads back as them for sure.

        An answer that is this text is right by every rule, and need not be read: `parse_calls` reads back
        what `render_calls` writes, and only NaN, which has no spelling, differs from itself.
        """
        if self.acceptance or not 0 < len(self.calls) <= MAX_CALLS:
            return None
        try:
            text = render_calls(self.calls)
        except (ValueError, RecursionError):
            return None
        plain = text.isascii() and len(text) <= MAX_CHARS  # some letters of identifiers cannot be read
        return text if plain and text.count("[") + text.count("{") <= MAX_DEPTH else None

    def match(self, calls: Sequence[Call], *, ordered: bool, strings: Strings) -> Match:
        """Whether `calls` are the right ones (see `match_calls`)."""
        if self.acceptance:
            return self.acceptance.match(calls, ordered=ordered)
        if strings not in self._matchers:
            self._matchers[strings] = Matcher(self.calls, self.tools, strings)
        return self._matchers[strings].match(calls, ordered=ordered)


@lru_cache(maxsize=1024)  # the answers of one group arrive close together
def read_gold(ground_truth: str) -> Gold:
    """Reads the JSON string that `compute_score` describes.

    Raises:
        ValueError: if it is anything else; the message says what is wrong.
    """
    value = _object(ground_truth)
    accepted = [_read_call(AcceptedCall.from_json, call) for call in value["calls"] if "accepted" in call]
    if accepted and len(accepted) != len(value["calls"]):
        raise ValueError("either all gold calls list their accepted values or none does")
    plain = (_read_call(Call.from_json, call) for call in value["calls"])
    calls = tuple(call.example() for call in accepted) or tuple(plain)
    turns = value.get("turns")
    if turns is not None and (type(turns) is not int or turns < 1):
        raise ValueError("turns is no number of user turns")
    # Only the gold calls' tools are ever compared with; compiling all of them would be half of the work.
    names = {call.name for call in calls}
    tools = index_tools([tool for tool in value["tools"] if tool["name"] in names])
    return Gold(calls, tools, Acceptance(accepted, tools) if accepted else None, turns)


def _object(ground_truth: Any) -> dict[str, Any]:
    """The ground truth's object, with calls and tools of the right shape."""
    if not isinstance(ground_truth, str):
        raise ValueError("it is no JSON string")
    try:
        value = json.loads(ground_truth)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("calls", "tools")):
        raise ValueError("it is no object with the lists calls and tools")
    for call in value["calls"]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise ValueError("a gold call is no object with a name")
    for tool in value["tools"]:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise ValueError("a tool is no object with a name")
        if not isinstance(tool.get("parameters") or {}, dict):
            raise ValueError(f"the parameters of the tool {tool['name']!r} are no JSON schema")
    return value


_Read = TypeVar("_Read")


def _read_call(read: Callable[[Mapping[str, Any]], _Read], call: Mapping[str, Any]) -> _Read:
    try:
        return read(call)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"the arguments of the gold call {call['name']!r} are no object") from None
