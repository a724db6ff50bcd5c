"""Calls as JSON objects: OpenAI's form and its many relatives.

    {"name": "f", "arguments": {…}}            {"type": "function", "function": {"name": …, "arguments": …}}
    {"tool_calls": [{…}]}                      {"tool": "f", "parameters": {…}}
    {"action": "f", "action_input": {…}}       [{"f": {…}}], as BFCL's golds, if f is an offered tool

Every key of a call must be understood: what stands under another key would otherwise vanish.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..types import Call
from .reading import Unreadable
from .values import json_object

NAME_KEYS = (
    *(
        "name",
        "function",
        "tool",
        "tool_name",
        "toolName",
        "function_name",
        "recipient_name",
        "api",
        "api_name",
        "action",
    ),
)
"""Keys under which the name of the called tool stands."""

ARGUMENT_KEYS = (
    *("arguments", "parameters", "args", "input", "params", "kwargs", "argument"),
    *("tool_input", "action_input", "tool_args", "function_args", "tool_parameters", "action_parameters"),
)
"""Keys under which the arguments of a call stand."""

LIST_KEYS = (
    *("tool_calls", "function_calls", "tool_call", "function_call", "calls", "tool_uses", "actions"),
    *("functionCall", "functionCalls", "toolCall", "toolCalls", "toolUse", "tool_use", "command"),
)
"""Keys under which an object holds calls and is not one itself."""

LABEL_KEYS = ("id", "call_id", "tool_call_id", "type", "index")
"""Keys of a call that say nothing about what is called."""

_DEEPEST, _MOST_LISTED = 3, 20  # levels of objects, and elements of a list, that are searched for a call
_SURE = ("parameters", "action_input", "tool_input")
_TOOL_NAME = re.compile(r"[\w.:/-]{1,200}")


def is_call_object(value: Any, tool_names: Collection[str] = ()) -> bool:
    """Whether a JSON value was meant as a call, or as calls; `{"name": "Ada", "age": 31}` was not."""
    if isinstance(value, list):
        return any(is_call_object(item, tool_names) for item in value)
    if not isinstance(value, Mapping) or not value:
        return False
    if any(isinstance(value.get(key), list | Mapping) and _only_calls(value, key) for key in LIST_KEYS):
        return True
    held = value.get("function")
    if isinstance(held, Mapping):
        return isinstance(held.get("name"), str) and (held["name"] in tool_names or not _is_definition(held))
    name = next((value[key] for key in NAME_KEYS if isinstance(value.get(key), str)), None)
    if tool_names and name not in tool_names and _names_a_tool(value, tool_names):
        return True
    if name is None:
        return False
    if name in tool_names:
        return True
    if not _TOOL_NAME.fullmatch(name) or _is_definition(value):
        return False
    if "arguments" in value or any(_may_be_arguments(value[key]) for key in _SURE if key in value):
        return True
    if any(isinstance(value.get(key), Mapping) for key in ARGUMENT_KEYS):
        return True
    # A lone name calls a tool without arguments, or names a person: a tool's name begins with a small letter.
    return value.keys() == {"name"} and not tool_names and name.isidentifier() and name[:1].islower()


def _names_a_tool(value: Mapping[str, Any], tool_names: Collection[str], depth: int = 0) -> bool:
    """Whether an object holds a call under whatever keys: a tool's name, and an object beside or below it."""
    if not depth and all(key in tool_names and isinstance(item, Mapping) for key, item in value.items()):
        return True
    held = [item for item in value.values() if isinstance(item, Mapping)]
    named = any(isinstance(item, str) and item in tool_names for item in value.values())
    if named and (held or any(key in ARGUMENT_KEYS for key in value)):
        return True
    inner = [
        *held,
        *(one for item in value.values() if isinstance(item, list) for one in item[:_MOST_LISTED]),
    ]
    return depth < _DEEPEST and any(
        isinstance(one, Mapping) and bool(one) and _names_a_tool(one, tool_names, depth + 1) for one in inner
    )


def _may_be_arguments(value: Any) -> bool:
    """Whether a value can be the arguments of a call: an object, JSON text of one, or nothing."""
    return value is None or isinstance(value, Mapping) or (isinstance(value, str) and value[:1] in ("{", ""))


def _is_definition(value: Mapping[str, Any]) -> bool:
    """Whether an object defines a tool instead of calling it: its parameters are a JSON schema."""
    parameters = value.get("parameters", value.get("input_schema"))
    return isinstance(parameters, Mapping) and isinstance(parameters.get("properties"), Mapping)


def _only_calls(value: Mapping[str, Any], key: str) -> bool:
    """Whether what stands under `key` is calls: an empty list, or nothing but objects that are calls."""
    held = value[key]
    if isinstance(held, Mapping):
        held = [held]
    return all(is_call_object(one) for one in held) and (bool(held) or key in LIST_KEYS[:4])


def read_call_objects(values: Any, tool_names: Collection[str] = ()) -> list[Call]:
    """The calls that a JSON value stands for.

    Args:
        values: An object or a list of objects.
        tool_names: Names of the offered tools.

    Raises:
        Unreadable: `no_name`, `unread_key`, `arguments_not_object`, `duplicate_argument`, `json`.
    """
    return list(_calls(values, tool_names))


def _calls(value: Any, tool_names: Collection[str]) -> Iterator[Call]:
    if isinstance(value, list):
        for item in value:
            yield from _calls(item, tool_names)
        return
    if not isinstance(value, Mapping):
        raise Unreadable("no_name", f"a call is a {type(value).__name__}, not an object")
    holder = next((key for key in LIST_KEYS if isinstance(value.get(key), list | Mapping)), None)
    if holder is not None:
        _nothing_else(value, (holder,))
        yield from _calls(value[holder], tool_names)
    elif isinstance(value.get("function"), Mapping):
        _nothing_else(value, ("function",))
        yield from _calls(value["function"], tool_names)
    elif tool_names and all(name in tool_names and isinstance(item, Mapping) for name, item in value.items()):
        for name, item in value.items():
            yield Call(name, dict(item))
    else:
        yield _call(value, tool_names)


def _call(value: Mapping[str, Any], tool_names: Collection[str]) -> Call:
    name_key = next((key for key in NAME_KEYS if isinstance(value.get(key), str)), None)
    if name_key is None:
        raise Unreadable("no_name")
    given = [key for key in ARGUMENT_KEYS if key in value]
    said = [key for key in given if value[key] not in (None, "", {})]
    if len(said) > 1:
        raise Unreadable("unread_key", f"a call has arguments under {said[0]} and under {said[1]}")
    _nothing_else(value, (name_key, *given))
    arguments = value[said[0]] if said else {}
    if isinstance(arguments, str):
        arguments = json_object(arguments)
    if not isinstance(arguments, Mapping):
        raise Unreadable("arguments_not_object", f"{said[0]} is a {type(arguments).__name__}, not an object")
    return Call(plain_name(value[name_key], tool_names), dict(arguments))


def plain_name(name: str, tool_names: Collection[str]) -> str:
    """A tool's name without the name space that some models put in front (`functions.f`)."""
    name = name.strip()
    for space in ("functions.", "default_api.", "tools.", "api."):
        if name.startswith(space) and name not in tool_names:
            bare = name.removeprefix(space)
            if bare in tool_names or space in ("functions.", "default_api."):
                return bare
    return name


def _nothing_else(value: Mapping[str, Any], known: Collection[str]) -> None:
    for key, item in value.items():
        if key not in known and key not in LABEL_KEYS and item not in (None, "", [], {}):
            raise Unreadable("unread_key", f"a call has the key {key!r:.60}")
