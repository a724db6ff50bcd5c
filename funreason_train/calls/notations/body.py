"""What stands inside a notation's marks: JSON, a call list, XML-like elements, or a name and then JSON."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..parse import CallSyntaxError, parse_calls
from ..types import Call
from .elements import holds_elements, read_elements
from .objects import plain_name, read_call_objects
from .reading import Unreadable
from .values import json_object, json_values

_FENCE = re.compile(r"```[\w+-]*+")
_WRITTEN_SPACE = ("\\n", "\\r", "\\t")
_BULLET = re.compile(r"\A(?:[-*•+>]|>>>|\d{1,3}[.)])\s+")
_LABEL = re.compile(r"\ACall:[^\S\n]*|<bot_end>[^\S\n]*\Z")  # around a call of NexusRaven
_NAME = r"[^\W\d][\w.-]*"
_LIST_START = re.compile(rf"\[\s*{_NAME}\s*\(")
_CALL_START = re.compile(rf"{_NAME}\s*\(")
_NAMED = re.compile(
    rf"""(?:function<｜tool▁sep｜>)?(?P<name>{_NAME})(?::\d+)?\s*+
         (?:\[(?:CALL_ID\]\s*+[\w-]*+\s*+\[)?ARGS\]|<[|｜][\w▁]+[|｜]>|✿ARGS✿:)?\s*+(?=(?:```\w*+\s*+)?\{{)""",
    re.VERBOSE,
)
# A Glaive row holds its arguments as JSON between single quotes: {"name": "f", "arguments": '{"a": 1}'}.
_ARGUMENTS = re.compile(r"""["'](?:arguments|parameters)["']\s*+:\s*+""")


def trimmed(text: str) -> str:
    """The text without white space around it, even if it is written out as `\\n`, and without a fence."""
    text = _without_edges(text)
    if text.startswith("```") and text.endswith("```") and len(text) > 6:
        opening = _FENCE.match(text)
        return _without_edges(text[opening.end() if opening else 3 : -3])
    return text


def _without_edges(text: str) -> str:
    start, end = 0, len(text)
    while start < end:
        if text[start].isspace():
            start += 1
        elif text.startswith(_WRITTEN_SPACE, start, end):
            start += 2
        elif text[end - 1].isspace():
            end -= 1
        elif text.endswith(_WRITTEN_SPACE, start, end):
            end -= 2
        else:
            break
    return text[start:end]


def read_body(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """The calls that a text consists of, in whichever of the forms above.

    Args:
        text: What stands inside the marks.
        tool_names: Names of the offered tools; as a mapping, their schemas by name.

    Raises:
        Unreadable: it is anything else, or has two meanings.
    """
    text = trimmed(text)
    if holds_elements(text):
        return read_elements(text, tool_names)
    if _LIST_START.match(text) or _CALL_START.match(text):
        return read_python(text, tool_names)
    if text[:1] in ("{", "["):
        return _json(text, tool_names)
    if named := _NAMED.match(text):
        arguments = json_object(trimmed(text[named.end() :]))
        return [Call(plain_name(named["name"], tool_names), arguments)]
    raise Unreadable("call_tags")


def read_python(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """A call list, or calls one after the other on lines or with commas, perhaps inside `print(…)`.

    Raises:
        Unreadable: with the reason of the call language.
    """
    text = _LABEL.sub("", text.strip("` \t\r\n"))
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        text = text[1:-1]
    try:
        if text.startswith("["):
            return _plain_names(_lists(text), tool_names)
        found: list[Call] = []
        for line in _statements(text):
            if line.startswith("print(") and line.endswith(")") and "print" not in tool_names:
                line = line.removeprefix("print(")[:-1]
            found += parse_calls(f"[{line.rstrip(';')}]")
        return _plain_names(found, tool_names)
    except CallSyntaxError as error:
        raise Unreadable(error.reason, str(error)) from None


def _lists(text: str) -> list[Call]:
    """The calls of a call list, or of several, one a line."""
    try:
        return parse_calls(text)
    except CallSyntaxError:
        lines = [line.strip().rstrip(",;") for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.startswith("[") and line.endswith("]") for line in lines):
            raise
        return [call for line in lines for call in parse_calls(line)]


def _statements(text: str) -> list[str]:
    """The calls of a text that has one a line; a call may go over several lines."""
    try:
        parse_calls(f"[{text.rstrip(';')}]")
        return [text]
    except CallSyntaxError:
        lines = (_LABEL.sub("", _BULLET.sub("", line.strip())).strip("`") for line in text.splitlines())
        return [line for line in lines if line]


def _plain_names(calls: list[Call], tool_names: Collection[str]) -> list[Call]:
    return [Call(plain_name(call.name, tool_names), call.arguments) for call in calls]


def _json(text: str, tool_names: Collection[str]) -> list[Call]:
    given = _ARGUMENTS.search(text)
    if given and text.startswith("'", given.end()) and text[-1:] == "}" and text[:-1].rstrip()[-1:] == "'":
        return _quoted(text[: given.end()], text[given.end() + 1 : -1].rstrip()[:-1], tool_names)
    calls = read_call_objects(json_values(text), tool_names)
    if not calls:
        raise Unreadable("no_calls")
    return calls


def _quoted(before: str, quoted: str, tool_names: Collection[str]) -> list[Call]:
    """Arguments between single quotes: as they stand, unless Python reads the quotes otherwise."""
    calls = read_call_objects(json_values(before + "{}}"), tool_names)
    if len(calls) != 1:
        raise Unreadable("json")
    arguments = json_object(quoted)
    try:
        other = json_object(str(parse_calls(f"[f(a='{quoted}')]")[0].arguments["a"]))
    except (CallSyntaxError, Unreadable):
        other = arguments
    if repr(other) != repr(arguments):
        raise Unreadable("untyped_value", "the backslashes of quoted arguments have two meanings")
    return [Call(calls[0].name, arguments)]
