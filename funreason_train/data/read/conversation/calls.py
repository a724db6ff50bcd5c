"""Calls declared as JSON, in the keys of every converter we know of; nothing in them is passed over.

`{"name", "arguments"}`, bare or inside `function`; the arguments as an object or as JSON text of it, under
any of `ARGUMENTS`, or inline beside the name. Content under any other key makes the row unusable: what a call
says beyond name and arguments may be an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ....calls.types import Call
from ....plain import literal
from ..fields import blank, field_name
from ..json_text import unwrap
from ..rows import RowError
from ..toolsets import Tool

#: Keys of a call under which its arguments stand.
ARGUMENTS = (
    *("arguments", "parameters", "args", "input", "params", "kwargs", "argument", "tool_input", "inputs"),
    *("parameter", "action_input", "function_args", "tool_args", "tool_arguments"),
)
_NAMES = ("name", "tool_name", "toolName", "function_name", "tool", "function", "action")
_WRAPPERS = ("function", "functionCall", "function_call", "tool_call", "tool_use", "toolUse")
_IDS = ("id", "call_id", "tool_call_id", "tool_use_id", "toolUseId", "toolCallId", "index")
_KINDS = ("function", "function_call", "tool_call", "tool-call", "tool_use", "tool")
_PLAIN = {"name", "arguments"}


def read_calls(
    declared: Any, tools: Sequence[Tool] | None = None, flags: list[str] | None = None
) -> tuple[Call, ...]:
    """Calls written as JSON: `[{"name": …, "arguments": {…} or JSON text of it}]`, or JSON text of that.

    Args:
        declared: One call or a list of them.
        tools: The offered ones, by whose parameters inline arguments are told from other keys.
        flags: Receives `inline_arguments`.

    Raises:
        RowError: `call_syntax`, `invalid_json`, `not_finite`, `nested_too_deeply`.
    """
    value = _unwrapped(declared) if isinstance(declared, str) else declared
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise RowError("call_syntax", f"the calls are a {type(value).__name__}, not a list")
    return tuple(_call(one, tools or (), [] if flags is None else flags) for one in value)


def call_id(declared: Any) -> Any:
    """What a declared call is named by, for the result that answers it; None if it has no id."""
    if not isinstance(declared, Mapping):
        return None
    found = next((declared[key] for key in _IDS[:-1] if declared.get(key) is not None), None)
    inner = next((declared[key] for key in _WRAPPERS if isinstance(declared.get(key), Mapping)), None)
    return call_id(inner) if found is None and inner is not None else found


def _call(one: Any, tools: Iterable[Tool], flags: list[str]) -> Call:
    if type(one) is dict and one.keys() == _PLAIN:  # nearly all of them: nothing to look for
        name, arguments = one["name"], one["arguments"]
        if isinstance(name, str) and name and isinstance(arguments, dict):
            return Call(name, dict(arguments))
    fields = _opened(one)
    names = {key: fields[key] for key in _NAMES if isinstance(fields.get(key), str) and fields[key]}
    if not names:
        raise RowError("call_syntax", "a call without a name")
    name = next(iter(names.values()))
    if len(set(names.values())) > 1:
        raise RowError("call_syntax", f"a call is named by {' and by '.join(names)}, which differ")
    kind = fields.get("type")
    known = {*names, *ARGUMENTS, *_IDS, *(("type",) if blank(kind) or kind in _KINDS else ())}
    rest = {str(key): value for key, value in fields.items() if key not in known and not blank(value)}
    stated = {
        key: _arguments(fields[key], key, name)
        for key in ARGUMENTS
        if key in fields and (not blank(fields[key]) or fields[key] == {})
    }
    stated = {key: value for key, value in stated.items() if value} or dict(list(stated.items())[:1])
    if len(stated) > 1 and any(value != next(iter(stated.values())) for value in stated.values()):
        raise RowError("call_syntax", f"{name} has arguments under {' and '.join(stated)}, which differ")
    if not rest:
        return Call(name, dict(next(iter(stated.values()), {})))
    if not any(stated.values()) and _inline(fields, rest, name, tools):
        flags.append("inline_arguments")
        return Call(name, rest)
    listed = ", ".join(map(field_name, rest))
    raise RowError("call_syntax", f"the call of {name:.60} has content under {listed}, which is not read")


def _opened(one: Any) -> Mapping[str, Any]:
    """A call's fields, those inside its wrapper and those beside it."""
    if not isinstance(one, Mapping):
        raise RowError("call_syntax", f"a call is a {type(one).__name__}, not an object")
    key = next((key for key in _WRAPPERS if isinstance(one.get(key), Mapping)), None)
    if key is None:
        text = next((key for key in _WRAPPERS if _is_object(one.get(key))), None)
        return one if text is None else _opened({**one, text: unwrap(one[text])})
    outer, inner = {k: v for k, v in one.items() if k != key}, _opened(one[key])
    for both in outer.keys() & inner.keys():
        if blank(outer[both]):
            continue
        if not blank(inner[both]) and outer[both] != inner[both] and both not in _IDS:
            raise RowError("call_syntax", f"a call has {field_name(both)} twice, and they differ")
    return {**inner, **{k: v for k, v in outer.items() if not blank(v) or k not in inner}}


def _unwrapped(text: str) -> Any:
    """What a text of JSON holds, or one that Python wrote."""
    try:
        return unwrap(text)
    except RowError as error:
        value = literal(text)
        if error.reason != "invalid_json" or not isinstance(value, (list, Mapping)):
            raise error from None
        return value


def _is_object(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("{")


def _arguments(value: Any, key: str, name: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        value = _unwrapped(value) if value.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RowError("call_syntax", f"the {key} of {name:.60} are not an object")
    return value


def _inline(fields: Mapping[str, Any], rest: Mapping[str, Any], name: str, tools: Iterable[Tool]) -> bool:
    """Whether what stands beside the name can only be the arguments: the tool declares every key of it."""
    offered = next((tool for tool in tools if tool["name"] == name), None)
    declared: Mapping[str, Any] = {} if offered is None else offered["parameters"].get("properties", {})
    own = {*_NAMES, *_IDS, "type"} & fields.keys()
    return rest.keys() <= declared.keys() and not own & declared.keys()
