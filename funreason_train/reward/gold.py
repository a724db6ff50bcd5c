"""Reading a row's ground truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from funreason_train.calls import (
    Acceptance,
    AcceptedCall,
    Call,
    Match,
    Schema,
    index_tools,
    render_calls,
)
from funreason_train.calls.match import Canon, Strings
from funreason_train.calls.names import normal_name
from funreason_train.calls.parse import MAX_CALLS, MAX_CHARS, MAX_DEPTH
from funreason_train.reward.outcome import outcome


@dataclass(eq=False, slots=True)
class Gold:
    """What a ground truth says. Nobody changes it: all answers to a prompt share it.

    Attributes:
        calls: The right calls; none means that plain text is right. Of a gold that accepts several values,
            one choice of them.
        tools: The schemas of the tools that these calls use.
        acceptance: The accepted values, for a gold that has lists of them.
        tool_names: The names of all offered tools.
        turns: User turns of the task, for a row that is an episode.
        text: What the model would write to make these very calls; None if nothing reads back as them for
            sure. An answer that is this text is right by every rule, and need not be read.
        right: The result of such an answer.
    """

    calls: tuple[Call, ...]
    tools: Mapping[str, Schema]
    tool_names: Sequence[str] = ()
    acceptance: Acceptance | None = None
    turns: int | None = None
    text: str | None = None
    right: dict[str, float] = field(default_factory=dict, repr=False)
    _canons: dict[Strings, Canon] = field(default_factory=dict, repr=False)

    def match(self, calls: Sequence[Call], *, ordered: bool, strings: Strings) -> Match:
        """Whether `calls` are the right ones (see `match_calls`)."""
        if self.acceptance:
            return self.acceptance.match(calls, ordered=ordered)
        if strings not in self._canons:
            self._canons[strings] = Canon(self.tools, strings)
        return self._canons[strings].match(calls, self.calls, ordered=ordered)


# The answers of one group arrive close together, each with a string of its own. To hash a whole ground truth
# takes ten times as long as to compare it with an equal one, so a part of it finds the candidate.
_HELD: dict[tuple[int, str], tuple[str, Gold]] = {}
_MOST_HELD = 1024
_KEY_CHARS = 128


def read_gold(ground_truth: str) -> Gold:
    """Reads the JSON string that `compute_score` describes; for an equal one soon after, the same object.

    Raises:
        ValueError: if it is anything else; the message says what is wrong.
    """
    if not isinstance(ground_truth, str):
        raise ValueError("it is not a JSON string")
    key = len(ground_truth), ground_truth[:_KEY_CHARS]
    held = _HELD.get(key)
    if held is not None and held[0] == ground_truth:
        return held[1]
    try:
        gold = _read(ground_truth)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    if len(_HELD) >= _MOST_HELD:
        _HELD.clear()
    _HELD[key] = ground_truth, gold
    return gold


def _read(ground_truth: str) -> Gold:
    value = _object(ground_truth)
    if not ground_truth.isascii() or "\\u" in ground_truth:
        value["calls"] = list(map(_normal_call, value["calls"]))
        value["tools"] = list(map(_normal_tool, value["tools"]))
    calls: list[Call] = []
    accepted: list[AcceptedCall] = []
    for call in value["calls"]:
        if "accepted" in call:
            accepted.append(AcceptedCall.from_json(call))
            calls.append(accepted[-1].example())
        elif isinstance(call.get("arguments"), dict):
            calls.append(Call(call["name"], call["arguments"]))
        else:
            raise ValueError(f"the arguments of the gold call {call['name']!r} are not an object")
    if accepted and len(accepted) != len(calls):
        raise ValueError("either all gold calls list their accepted values or none does")
    turns = value.get("turns")
    if turns is not None and (type(turns) is not int or turns < 1):
        raise ValueError("turns is not a number of user turns")
    # Only the gold calls' tools are ever compared with; compiling all of them would be half of the work.
    names = {call.name for call in calls}
    tools = index_tools([tool for tool in value["tools"] if tool["name"] in names])
    offered = [tool["name"] for tool in value["tools"]]
    if accepted:
        return Gold(tuple(calls), tools, offered, Acceptance(accepted, tools), turns)
    right = outcome("right", 1.0, len(calls), len(calls), True, True)
    return Gold(tuple(calls), tools, offered, None, turns, _text(calls), right)


def _normal(name: str) -> str:
    """A name as an answer's is read (see `calls.names`)."""
    return name if name.isascii() else normal_name(name) or name


def _normal_call(call: dict[str, Any]) -> dict[str, Any]:
    """A gold call under the names that an answer's calls have once they are read."""
    key = "accepted" if "accepted" in call else "arguments"
    given = call.get(key)
    if not isinstance(given, dict) or (call["name"].isascii() and all(map(str.isascii, given))):
        return call
    return {**call, "name": _normal(call["name"]), key: _normal_keys(given)}


def _normal_keys(value: dict[str, Any]) -> dict[str, Any]:
    found = {_normal(key): item for key, item in value.items()}
    return found if len(found) == len(value) else value


def _normal_tool(tool: dict[str, Any]) -> dict[str, Any]:
    parameters = tool.get("parameters") or {}
    properties, required = parameters.get("properties"), parameters.get("required")
    if isinstance(properties, dict) and not all(map(str.isascii, properties)):
        parameters = {**parameters, "properties": _normal_keys(properties)}
        if isinstance(required, list):
            parameters["required"] = [_normal(name) if isinstance(name, str) else name for name in required]
    elif tool["name"].isascii():
        return tool
    return {**tool, "name": _normal(tool["name"]), "parameters": parameters}


def _text(calls: Sequence[Call]) -> str | None:
    """What `render_calls` writes, if `parse_calls` reads it back; NaN, equal to nothing, has no text."""
    if not 0 < len(calls) <= MAX_CALLS:
        return None
    try:
        text = render_calls(calls)
    except ValueError:
        return None
    plain = text.isascii() and len(text) <= MAX_CHARS
    return text if plain and text.count("[") + text.count("{") <= MAX_DEPTH else None


_JSON = json.JSONDecoder()


def _object(ground_truth: str) -> dict[str, Any]:
    """The ground truth's object, with calls and tools of the right shape."""
    text = ground_truth.strip(" \t\r\n")
    try:
        value, end = _JSON.raw_decode(text)  # json.loads without its detours
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if end < len(text):
        raise ValueError("it is not JSON")
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("calls", "tools")):
        raise ValueError("it is not an object with the lists calls and tools")
    for call in value["calls"]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise ValueError("a gold call is not an object with a name")
    for tool in value["tools"]:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise ValueError("a tool is not an object with a name")
        if not isinstance(tool.get("parameters") or {}, dict):
            raise ValueError(f"the parameters of the tool {tool['name']!r} are not a JSON schema")
    return value
