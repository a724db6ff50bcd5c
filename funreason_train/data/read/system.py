"""The tool list in a system prompt, and what is left without it (see `instructions`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...plain import literal
from .json_text import DECODER

_LIST = re.compile(r"\[\s*\{")
#: Where an object that stands alone may begin: on a line, in a tag for tools, after another one.
_OBJECT = re.compile(
    r"(?:^[^\S\n]*|<(?:tools?|functions?|available_tools)>\s*|\}\s*,?\s*)(?=\{)", re.MULTILINE
)
_FAILURES = 1_000  # beginnings of a list that are none: beyond, no list is looked for any more
_READ_AGAIN = 20  # how often all of a text may be read in vain
_PYTHON = re.compile(r"[\[\s{]*+'")  # how a list of objects begins that Python wrote
_PIECE = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[\[\]{}()]""")

#: Marks around a list of tools that is gone.
_EMPTY = re.compile(r"""```(?:json|python)?\s*```|\{\s*["'](?:tools|functions)["']\s*:\s*\}""")
_STOP = re.compile(r"\A[.,;](?=\s|\Z)\s*")  # the end of the sentence that the list was


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
    rest = _STOP.sub("", text[end:].lstrip())
    return _EMPTY.sub("", text[:start].rstrip() + "\n" + rest).strip()
