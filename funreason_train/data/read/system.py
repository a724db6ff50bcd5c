"""System prompts: the tool list in one, and what is left without instructions for another call format."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ...plain import literal
from .fields import blank
from .json_text import DECODER

FLAG = "format_instructions_dropped"

_LIST = re.compile(r"\[\s*\{")
#: Where an object that stands alone may begin: on a line, in a tag for tools, after another one.
_OBJECT = re.compile(
    r"(?:^[^\S\n]*|<(?:tools?|functions?|available_tools)>\s*|\}\s*,?\s*)(?=\{)", re.MULTILINE
)
#: Another family's markers and the words in them, which say nothing without the tools they announced.
_ONLY_MARKERS = re.compile(r"(?:<\|[^|>\s]*\|>|tool_declare|\s)*")
_FAILURES = 1_000  # beginnings of a list that are none: beyond, no list is looked for any more
_READ_AGAIN = 20  # how often all of a text may be read in vain
_PYTHON = re.compile(r"[\[\s{]*+'")  # how a list of objects begins that Python wrote
_PIECE = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[\[\]{}()]""")

_BFCL = "You are an expert in composing functions"
_UNIT = re.compile(r"[^\n]+?(?:[.!?:](?=\s)|\n|\Z)\s*|\s+")
_TAGS = "|".join(
    (
        *("tools?", "tool_calls?", "tool_responses?", "function_?calls?", "functions?", "invoke"),
        *("parameters?", "toolcall", "available_tools"),
    )
)
_BLOCK = re.compile(rf"<({_TAGS})>(?:(?!<\1>).){{0,2000}}?</\1>", re.DOTALL | re.IGNORECASE)
#: What stands between these names a part of xLAM's prompts; of the tools' part nothing is left but the marks.
_PART = re.compile(
    r"\[BEGIN OF FORMAT INSTRUCTION\].*?\[END OF FORMAT INSTRUCTION\]"
    r"|\[BEGIN OF AVAILABLE[ _]TOOLS\]\s*\[END OF AVAILABLE[ _]TOOLS\]",
    re.DOTALL | re.IGNORECASE,
)
_BRACE = re.compile(r"[{}]")
_MARK = re.compile(
    rf"\0|</?(?:{_TAGS})\b[^>\n]*>|\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS)\]"
    r"|<[|｜](?:python_tag|(?:available_)?tool[\w▁]*)[|｜]>"
    r"|\bAction Input\b|\bfunctioncall\b|\{\s*[\"']name[\"']\s*:\s*[<\"']"
    r"|\{\s*[\"']name[\"']\s*:\s*[^{}\"'\n]{1,60},\s*[\"'](?:arguments|parameters)[\"']"
    r"|\{\s*[\"'](?:tool_calls|function_calls?)[\"']\s*:",
    re.IGNORECASE,
)
#: An object that describes a call or is one, `{"name": …, "arguments": …}`; a tool has a description too.
_CALL_SCHEMA = re.compile(
    r"""["']FunctionCall["']
        | ["']name["']\s*:.*["'](?:arguments|parameters)["']\s*:
        | ["']arguments["']\s*:.*["']name["']\s*:""",
    re.DOTALL | re.VERBOSE,
)
#: Marks around a list of tools that is gone.
_EMPTY = re.compile(r"""```(?:json|python)?\s*```|\{\s*["'](?:tools|functions)["']\s*:\s*\}""")
_FORMAT = re.compile(
    r"\b(?:json|xml|pydantic|schemas?|signatures?|function[- ]call(?:s|ing)?|tool[- ]call(?:s|ing)?)\b"
    r"|\bcall (?:one or more |an? )?(?:functions?|tools?)\b|\binto functions\b"
    r"|\b(?:following|this) (?:exact )?format\b"
    r"|\b(?:following|available|list of) (?:functions|tools)\b|\A#+\s*(?:tools?|functions?)\s*\Z",
    re.IGNORECASE,
)
_FUNCTIONS = re.compile(r"\b(?:functions?|tools?)\b", re.IGNORECASE)


def find_tools(system: str) -> tuple[Any, str] | None:
    """The first tool list in a system prompt.

    Args:
        system: The prompt; tools stand as one list, in JSON or as Python writes it, or one JSON object a
            line.

    Returns:
        The list as read, and the prompt without it; None if there is no such list.
    """
    reader = _Reader(system)
    for match in _LIST.finditer(system):
        value, end = reader.read(match.start())
        if value is not None and all(_is_tool(one) for one in value):
            return value, _without(system, match.start(), end)
        if reader.tired:
            break
    reader = _Reader(system)
    found, first, last = [], None, 0
    for match in _OBJECT.finditer(system):
        if match.end() < last:
            continue
        value, end = reader.read(match.end())
        if _is_tool(value):
            found.append(value)
            first, last = match.end() if first is None else first, end
        elif reader.tired:
            break
    return (found, _without(system, first, last)) if first is not None else None


class _Reader:
    """Reads JSON, or a Python literal, in the middle of a text.

    It gives up on texts that are made to be read in vain.

    Attributes:
        tired: Whether too much has been read without finding a tool.
    """

    def __init__(self, text: str) -> None:
        self._text, self._decoder = text, DECODER
        self._failures, self._characters = _FAILURES, _READ_AGAIN * len(text)

    @property
    def tired(self) -> bool:
        return self._failures < 0 or self._characters < 0

    def read(self, start: int) -> tuple[Any, int]:
        """The value that begins here and where it ends; None and its own beginning if there is none.

        Raises:
            RowError: `duplicate_key` or `not_finite` for JSON that loses something.
        """
        self._failures -= 1
        try:
            value, end = self._decoder.raw_decode(self._text, start)
        except ValueError as error:
            whole = not isinstance(error, json.JSONDecodeError) or error.msg.startswith("Unterminated")
            self._characters -= (len(self._text) if whole else error.pos) - start  # type: ignore[attr-defined]
            value, end = self._python(start)
            if value is None:
                return None, start
        except RecursionError:
            return None, start
        if _is_tool(value):
            self._failures += 1
        else:
            self._characters -= end - start
        return value, end

    def _python(self, start: int) -> tuple[Any, int]:
        """The Python list or object that begins here, as `read`; it is read literally and never evaluated."""
        if not _PYTHON.match(self._text, start):
            return None, start
        depth = 0
        for piece in _PIECE.finditer(self._text, start):
            depth += 1 if piece[0] in "[{(" else -1 if piece[0] in "]})" else 0
            if not depth:
                self._characters -= piece.end() - start
                return literal(self._text[start : piece.end()]), piece.end()
        self._characters -= len(self._text) - start
        return None, start


def _is_tool(value: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return False
    return "arguments" not in value or "description" in value  # a call has no description


def _without(text: str, start: int, end: int) -> str:
    return _EMPTY.sub("", text[:start].rstrip() + "\n" + text[end:].lstrip()).strip()


def own_instructions(system: str | None) -> tuple[str | None, list[str]]:
    """What a data set says itself: without our prompt's words, and without those for another call format.

    A model that is to answer in the call language must not read that it has to write
    `<tool_call>{"name": …}</tool_call>`. Sentences that show such a form go, and those about functions, JSON
    or schemas that stand next to one; everything else stays as it is.

    Args:
        system: The system prompt without a tool list.

    Returns:
        The rest, None if nothing is left, and `format_instructions_dropped` if something of another format
        was left out.
    """
    if blank(system) or system is None:
        return None, []
    if _ONLY_MARKERS.fullmatch(system):
        return None, [FLAG]
    bfcl = system.lstrip().startswith(_BFCL)
    if not bfcl and not _MARK.search(system):
        return system, []
    blocks: list[str] = []

    def hide(match: re.Match[str]) -> str:
        blocks.append(match[0])
        return "\0"

    shown = _PART.sub(hide, _BLOCK.sub(hide, system.replace("\0", "")))
    units = _UNIT.findall(_without_call_schemas(shown))
    known = _own_sentences()
    ours = [bfcl and (_plain(one) in known or _plain(one).startswith(_BFCL)) for one in units]
    foreign = [bool(_MARK.search(one)) for one in units]
    about = _FUNCTIONS if bfcl else _FORMAT
    nearby = [bool(about.search(one.strip())) or one.isspace() for one in units]
    dropped = [a or b for a, b in zip(ours, foreign, strict=True)]
    for order in (range(len(units)), range(len(units) - 1, -1, -1)):
        beside = bfcl
        for at in order:
            beside = dropped[at] = dropped[at] or (beside and nearby[at])
    left = "".join(unit for unit, gone in zip(units, dropped, strict=True) if not gone).strip()
    flagged = any(
        gone and not our and unit.strip() for unit, gone, our in zip(units, dropped, ours, strict=True)
    )
    return left or None, [FLAG] if (flagged and not bfcl) or _PART.search(system) else []


def _without_call_schemas(text: str) -> str:
    """The text with a mark in the place of each object that describes a call, as Hermes' schema does."""
    parts, at, start, depth = [], 0, 0, 0
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            start, depth = (brace.start(), 1) if not depth else (start, depth + 1)
        elif depth:
            depth -= 1
            held = text[start : brace.end()]
            described = "FunctionCall" not in held and re.search(r"[\"']description[\"']\s*:", held)
            if not depth and not described and _CALL_SCHEMA.search(held):
                parts += [text[at:start], "\0"]
                at = brace.end()
    return "".join([*parts, text[at:]])


def _plain(text: str) -> str:
    return " ".join(text.split())


@cache
def _own_sentences() -> frozenset[str]:
    """What BFCL's default prompt says, which the protocol writes itself."""
    text = files("funreason_train.dialogue").joinpath("prompts", "bfcl.txt").read_text(encoding="utf-8")
    return frozenset(map(_plain, _UNIT.findall(text)))
