"""ReAct and Command-R: an action and its input on lines of their own.

Thought: I need the weather.                  Action: ```json
Action: forecast                              [{"tool_name": "forecast", "parameters": {…}}]
Action Input: {"town": "Lom", "days": 3}      ```
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..types import Call
from .body import read_body, trimmed
from .objects import plain_name
from .python import is_call_list
from .reading import Unreadable
from .values import json_object

_STARS = r"(?:\*\*|__)?"
_ACTION = re.compile(
    rf"""^[^\S\n]*{_STARS}(?:ASSISTANT[ ])?(?P<word>Function|Tool|Action)(?:[ ]Name)?[^\S\n]*\d*
         {_STARS}[:：]{_STARS}[^\S\n]*
         (?P<said>(?:```|[\[{{]).*|(?P<name>[^\s\[\](){{}}`]+)(?P<after>[\[(].*)?)[^\S\n]*$""",
    re.VERBOSE | re.MULTILINE,
)
_INPUT = re.compile(
    rf"""\s*+{_STARS}(?:ASSISTANT[ ])?(?:Action[_ ]?Input|Action[_ ]?Arguments|Arguments|Tool[ ]?Input)
         [^\S\n]*\d*{_STARS}[:：]{_STARS}""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_ACTION_BLOCK = re.compile(rf"^[^\S\n]*{_STARS}Action{_STARS}:{_STARS}\s*(?=```|[\[{{])", re.MULTILINE)


def find_react(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """Where the first action begins, up to the end; None without an action that has an input."""
    if ":" not in text and "：" not in text:
        return None
    if (block := _ACTION_BLOCK.search(text)) and re.search(r"""["']\w+["']\s*:|\w\(""", text[block.end() :]):
        return block.start(), len(text)
    for action in _ACTION.finditer(text):
        name, after = action["name"], action["after"]
        if not name:
            continue
        given = _INPUT.match(text, action.end()) or (after and _is_input(name, after))
        if given or (name in tool_names and action["word"] == "Action"):
            return action.start(), len(text)
    return None


def _is_input(name: str, after: str) -> bool:
    """Whether what stands behind a name is its input: `Search[Oslo]`, `search(city="Oslo")`."""
    return after.endswith("]") if after.startswith("[") else is_call_list(f"[{name}{after}]")


def read_react(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """The calls of what `find_react` found.

    Raises:
        Unreadable: `untyped_value` for an input that is not an object; or as `read_body`.
    """
    if block := _ACTION_BLOCK.match(text):
        return read_body(text[block.end() :], tool_names)
    calls: list[Call] = []
    at = 0
    while action := _ACTION.match(text, at):
        name, after = action["name"], action["after"]
        if after:
            if after.startswith("["):
                raise Unreadable("positional_argument", f"{name} has an input without a name")
            calls += read_body(action["said"], tool_names)
            at = action.end()
        else:
            given = _INPUT.match(text, action.end())
            if name is None or given is None:
                raise Unreadable("call_tags", "an action has no input")
            following = _ACTION.search(text, given.end())
            at = following.start() if following else len(text)
            said = trimmed(text[given.end() : at])
            if not said.startswith("{"):
                raise Unreadable("untyped_value", f"the input of {name} is a text, not an object")
            calls.append(Call(plain_name(name, tool_names), json_object(said)))
    if not calls or text[at:].strip():
        raise Unreadable("trailing_text", f"text stands behind an action: {text[at : at + 60].strip()}")
    return calls
