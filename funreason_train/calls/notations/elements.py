"""Calls as XML-like elements, as Llama, Qwen3-coder, Claude, DeepSeek, MiniMax and GLM write them.

<function=f>{"a": 1}</function>
<function=f><parameter=a>1</parameter></function>
<invoke name="f"><parameter name="a">1</parameter></invoke>
<｜DSML｜invoke name="f"><｜DSML｜parameter name="a" string="false">1</｜DSML｜parameter></｜DSML｜invoke>
f<arg_key>a</arg_key><arg_value>1</arg_value>
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..schema import Schema
from ..types import Call
from .objects import plain_name
from .reading import Unreadable
from .values import json_object, raw_value, stated_value

SPACE = r"(?:\w{1,12}:|[|｜]DSML[|｜])?"
"""The name space of an element, as a pattern."""

ELEMENT = re.compile(rf"<(?:function=\s*[^\W\d]|{SPACE}invoke\s+name\s*=|arg_key>|parameter[=\s])")
"""The beginning of an element that says which tool is called, or with what."""

_NAME = r"[^\s<>\"'=]+"
_FUNCTION = re.compile(
    rf"""\s*(?:<function=\s*(?P<llama>{_NAME})\s*>(?P<body>.*?)</function>
         |<(?P<space>{SPACE})invoke\s+name\s*=\s*(?P<quote>["'])(?P<claude>{_NAME})(?P=quote)\s*>
          (?P<inside>.*?)</(?P=space)invoke>)""",
    re.VERBOSE | re.DOTALL,
)
_PARAMETER = re.compile(
    rf"""\s*(?:<parameter=\s*(?P<qwen>{_NAME})\s*>(?P<value>.*?)</parameter>
         |<(?P<space>{SPACE})parameter\s+name\s*=\s*(?P<quote>["'])(?P<claude>{_NAME})(?P=quote)
          (?:\s+string\s*=\s*["'](?P<string>true|false)["'])?\s*>
          (?P<text>.*?)</(?P=space)parameter>)""",
    re.VERBOSE | re.DOTALL,
)
_GLM = re.compile(r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_GLM_NAME = re.compile(rf"\s*({_NAME})(?=\s*<arg_key>)")


class _Pair(NamedTuple):
    """An argument as it stands: its name, its text, and whether the notation calls it a text, if it says."""

    key: str
    text: str
    string: str | None = None


def holds_elements(text: str) -> bool:
    """Whether a text has the beginning of such an element."""
    return "<" in text and ELEMENT.search(text) is not None


def read_elements(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """The calls that a text consists of.

    Args:
        text: What stands inside the marks.
        tool_names: Names of the offered tools; as a mapping, their schemas by name, which tell a number from
            a text.

    Raises:
        Unreadable: `call_tags` for an element that is damaged or unknown; `untyped_value`, `json`,
            `duplicate_argument`, `arguments_not_object`.
    """
    if glm := _GLM_NAME.match(text):
        pairs, at = [], glm.end()
        while pair := _GLM.match(text, at):
            pairs.append(_Pair(pair[1].strip(), pair[2]))
            at = pair.end()
        _at_end(text, at)
        return [_call(glm[1], pairs, tool_names)]
    found, at = [], 0
    while function := _FUNCTION.match(text, at):
        name, inside = function["llama"] or function["claude"], function["body"] or function["inside"] or ""
        found.append(_function(name, inside, tool_names))
        at = function.end()
    _at_end(text, at)
    return found


def _at_end(text: str, at: int) -> None:
    if not at or text[at:].strip():
        raise Unreadable("call_tags", f"an element of a call is damaged: {text[at : at + 60].strip()}")


def _function(name: str, inside: str, tool_names: Collection[str]) -> Call:
    if inside.lstrip().startswith("{"):
        return Call(plain_name(name, tool_names), json_object(inside))
    pairs, at = [], 0
    while parameter := _PARAMETER.match(inside, at):
        if parameter["qwen"]:
            pairs.append(_Pair(parameter["qwen"], _without_line_ends(parameter["value"])))
        else:
            pairs.append(_Pair(parameter["claude"], parameter["text"], parameter["string"]))
        at = parameter.end()
    if inside[at:].strip():
        raise Unreadable("call_tags", f"an element of a call is damaged: {inside[at : at + 60].strip()}")
    return _call(name, pairs, tool_names)


def _without_line_ends(text: str) -> str:
    """Qwen3-coder writes each value on lines of its own."""
    return text.removeprefix("\n").removesuffix("\n")


def _call(name: str, pairs: list[_Pair], tool_names: Collection[str]) -> Call:
    """A call whose arguments stand as raw text, typed by the notation or by the tool's schema.

    Raises:
        Unreadable: `duplicate_argument`, `untyped_value`.
    """
    name = plain_name(name, tool_names)
    schema = tool_names.get(name) if isinstance(tool_names, Mapping) else None
    arguments = {}
    for key, text, string in pairs:
        if key in arguments:
            raise Unreadable("duplicate_argument", f"{name} has the argument {key!r:.60} twice")
        declared = schema.properties.get(key) if isinstance(schema, Schema) else None
        arguments[key] = raw_value(text, declared) if string is None else stated_value(text, string == "true")
    return Call(name, arguments)
