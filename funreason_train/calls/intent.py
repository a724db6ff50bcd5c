"""What was meant as a call: the one definition, for data, reward, episodes and evaluation alike.

An answer in a form of its own is a call even if it is damaged; prose that speaks of functions is not. The
notations are asked in turn, from those with unmistakable marks to bare Python; `docs (v2)` in brackets, a
citation, a list comprehension, a formula or `{"name": "Ada", "age": 31}` is plain text.

Names of the offered tools are evidence for a call where a form alone is none (`get_user("Ada")` on a line of
its own); without them the definition stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from .notations.foreign import find_foreign
from .notations.harmony import find_harmony
from .notations.json_text import find_json
from .notations.named import find_named
from .notations.prose import Fence, fences, without_fences, without_quotes
from .notations.python import find_call_list, find_lines, find_nothing_but_calls, is_call_list
from .notations.react import find_react
from .notations.tags import find_tags

NOTATIONS = ("harmony", "tags", "react", "json", "call_list", "python", "fenced", "foreign", "named")
"""The families of notations, in the order in which they are looked for."""


class Intent(NamedTuple):
    """Something in a text that was meant as calls.

    Attributes:
        notation: One of `NOTATIONS`.
        start: Where it begins in the text.
        end: Where it ends.
    """

    notation: str
    start: int
    end: int


_SIGN = re.compile(r"[<\[({✿]|functools|Action|Tool|Function")
_CALL_FENCES = frozenset(
    {"tool_code", "tool_call", "tool_calls", "function_call", "function_calls", "functions", "action"}
)
_DATA_FENCES = frozenset({"", "json", "json5", "jsonc", "javascript", "js", "xml", "text", "plaintext"})
_CODE_FENCES = frozenset({"", "python", "py", "python3", "text", "plaintext"})

_Find = Callable[[str, Collection[str]], tuple[int, int] | None]
_IN_PROSE: tuple[tuple[str, _Find], ...] = (
    ("harmony", lambda text, _: find_harmony(text)),
    ("tags", find_tags),
    ("react", find_react),
)
_BARE: tuple[tuple[str, _Find], ...] = (("json", find_json), ("call_list", find_call_list))


def find_intent(text: str, tool_names: Collection[str] = ()) -> Intent | None:
    """What in a text was meant as calls; None for plain text.

    Never raises; takes time linear in the text's length.

    Args:
        text: An answer, without a thought before it.
        tool_names: Names of the offered tools, where they are known.
    """
    if not _SIGN.search(text):
        return _named(text, tool_names)
    if text[:1] == "[":  # soon told, and so often asked
        leading = find_call_list(text, tool_names) if "<" not in text else None
        if leading is not None and leading[0] == 0:
            return Intent("call_list", *leading)
        if is_call_list(text):
            return Intent("call_list", 0, len(text))
    blocks = fences(text)
    prose = without_quotes(without_fences(text, blocks)) if blocks else without_quotes(text)
    quoted = without_quotes(text) if blocks else prose
    for notation, find in _IN_PROSE:
        if span := find(quoted, tool_names):
            return Intent(notation, *span)
    for notation, find in _BARE:
        if span := find(prose, tool_names):
            return Intent(notation, *span)
    alone = len(blocks) == 1 and not prose.strip()
    for block in blocks:
        if _is_fenced_call(block, alone, tool_names):
            return Intent("fenced", block.start, block.end)
    span = find_nothing_but_calls(text, tool_names) or find_lines(prose, tool_names)
    if span:
        return Intent("python", *span)
    if span := find_foreign(text, tool_names):
        return Intent("foreign", *span)
    return _named(prose, tool_names)


def _named(text: str, tool_names: Collection[str]) -> Intent | None:
    span = find_named(text, tool_names) if tool_names else None
    return Intent("named", *span) if span else None


def _is_fenced_call(block: Fence, alone: bool, tool_names: Collection[str]) -> bool:
    """Whether fenced code is calls: as an example in an explanation, code mostly is not."""
    body = block.body.strip()
    if block.info in _CALL_FENCES:
        return bool(body)
    if block.info in _DATA_FENCES and find_json(body, tool_names):
        return True
    if block.info not in _CODE_FENCES:
        return False
    if is_call_list(body):
        return True
    if alone and (find_call_list(body, tool_names) or find_lines(body, tool_names)):
        return True
    return any(f"{name}(" in body for name in tool_names) and (
        find_nothing_but_calls(body, tool_names) is not None or find_lines(body, tool_names) is not None
    )
