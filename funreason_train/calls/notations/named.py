"""Calls of offered tools in a notation that nobody has written down: the tool's name is the evidence.

Tags, labels and keys without end are in use. Where the tools are known, a text that is nothing but one of
them with its arguments was meant as a call, whatever stands around it; it is never read, since nothing says
how. A sentence that speaks of a tool stays plain text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection

from ..types import Call
from .reading import Unreadable

_NAME = r"(?P<name>[^\W\d][\w.-]*+)"
_KEY = r"""["']?[ ]?[:=]"""
_FIELDS = re.compile(
    rf"""^[^\S\n]*(?:-[ ])?["']?(?:tool|function|api|action)?[_ ]?(?:name)?{_KEY}[ ]?["']?{_NAME}["']?,?
         [^\S\n]*\n[^\S\n]*["']?(?:tool_|action_|function_)?(?:arg(?:ument)?s?|param(?:eter)?s?|inputs?|kwargs){_KEY}
         (?:[ ]?\{{|[^\S\n]*\n[^\S\n]+["']?\w+{_KEY})""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_ELEMENT = re.compile(rf"\A\s*<{_NAME}\b[^<>]*>(?:.*>)?\s*\Z", re.DOTALL)
_INSIDE = re.compile(rf"""(?:=\s*["']|>\s*){_NAME}\s*["'<]""")
_OPENING = re.compile(r"<[^\W\d][\w.:-]*+[^<>/]*>")
_COMMAND = re.compile(
    rf"""\A\W{{0,3}}(?:\w+\s+)?{_NAME}
         (?:\s+(?:with\s+)?(?:--?[^\W\d][\w-]*(?:[ =]\S+)?|[^\W\d]\w*=\S+))+\s*\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_BLOCK = re.compile(rf"^[^\S\n]*<{_NAME}>[^\S\n]*(?=\n|<)", re.MULTILINE)
_RESULT_INSIDE = re.compile(rf"\[{_NAME}\([^()\n]*+\)\s*+(?:→|->)")  # Toolformer's [f(x) → 3]
_TOML = re.compile(
    rf"""^name[^\S\n]*=[^\S\n]*["']{_NAME}["'][^\S\n]*\n\s*\[[\w.]*?(?:arguments|parameters|args)\]""",
    re.MULTILINE,
)
_CALL = re.compile(rf"(?<![\w.])(?:[a-z_]+\.)?{_NAME}\((?P<given>[^()\n]*+(?:\([^()\n]*+\)[^()\n]*+)*+)\)")
_KEYWORD = re.compile(r"\s*[^\W\d]\w*\s*=(?!=)")
_TAG = re.compile(r"<[^<>\n]{1,60}>")
_WORD = re.compile(r"[^\W\d_]{2,}")
_LABEL = re.compile(r"[\w -]{1,30}[:=](?=\s|\Z)")
_LABEL_BEFORE = re.compile(
    r"""\b(?:name|tool|function|call(?:s|ing)?|action|command|api|method|us(?:e|es|ing)|invok(?:e|es|ing)
             |runn?(?:ing)?|execut(?:e|es|ing)|to)
        \b[\W_]{0,4}(?:(?:the|a|an)\s+)?(?:(?:functions|tools|api)\.)?\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_GAP = re.compile(r"""(?![\w-])(?P<gap>[^{}]{0,80})\{\s*["']""")
_RESULT = re.compile(
    r"\b(?:return|respon|result|got|gave|give|output|answer|said|say|found|show|contain|is|was|are|were)",
    re.IGNORECASE,
)
_AS_KEY = re.compile(r"""\A["']\s*:""")
_SENTENCE_END = re.compile(r"[.!?]\s")
_WHOLE = (_FIELDS, _ELEMENT, _COMMAND, _RESULT_INSIDE, _TOML)
_PLACES = 20  # of a name that are looked at
_FEW = 3  # words beside calls with keywords: "I will call f(a=1)"


def find_named(text: str, tool_names: Collection[str]) -> tuple[int, int] | None:
    """The whole text, if it is a call of an offered tool in a notation of its own; None for anything else.

    Args:
        text: An answer in which no known notation was found, without what it quotes.
        tool_names: Names of the offered tools.
    """
    mentioned = [name for name in tool_names if name in text]
    if not mentioned:
        return None
    if any(one["name"] in tool_names for pattern in _WHOLE for one in pattern.finditer(text)):
        return 0, len(text)
    if _is_marked_up(text, tool_names) or _holds_block(text, tool_names):
        return 0, len(text)
    if "(" in text and _is_calls(text, tool_names):
        return 0, len(text)
    return (0, len(text)) if "{" in text and _is_name_and_object(text, mentioned) else None


def _is_marked_up(text: str, tool_names: Collection[str]) -> bool:
    """Whether a text is elements of a markup, one of which, or an attribute, is a tool's name."""
    text = text.strip()
    if not (text.startswith("<") and text.endswith(">")):
        return False
    named = [one for one in _INSIDE.finditer(text) if one["name"] in tool_names]
    return bool(named) and (named[0][0].startswith("=") or len(_OPENING.findall(text)) > 1)


def _holds_block(text: str, tool_names: Collection[str]) -> bool:
    """Whether an element called like a tool begins a line and is closed: Cline's form, behind prose."""
    return "</" in text and any(
        block["name"] in tool_names and text.find(f"</{block['name']}>", block.end()) >= 0
        for block in itertools.islice(_BLOCK.finditer(text), _PLACES)
    )


def _is_calls(text: str, tool_names: Collection[str]) -> bool:
    """Whether next to nothing stands around calls of offered tools but tags and labels."""
    calls = [one for one in _CALL.finditer(text) if one["name"] in tool_names and one["given"].strip()]
    if not calls:
        return False
    rest, at = [], 0
    for call in calls:
        rest.append(text[at : call.start()])
        at = call.end()
    around = _LABEL.sub(" ", _TAG.sub(" ", " ".join([*rest, text[at:]])))
    keyword = any(_KEYWORD.match(call["given"]) for call in calls)
    return len(_WORD.findall(around)) <= (_FEW if keyword else 0)


def _is_name_and_object(text: str, mentioned: Collection[str]) -> bool:
    """Whether a text ends in an object of JSON behind a tool's name, and does not tell of a result."""
    end = text.rfind("}")
    if _WORD.search(_TAG.sub(" ", text[end:])):
        return False
    for name in mentioned:
        at = text.find(name)
        for _ in range(_PLACES):
            if at < 0:
                break
            found = _GAP.match(text, at + len(name))
            gap = found["gap"] if found else ""
            if found and not any(one.search(gap) for one in (_RESULT, _SENTENCE_END, _AS_KEY)):
                before = text[max(0, at - 40) : at]
                plain_word = name.isalpha() and name.islower() and _WORD.search(gap)
                if _LABEL_BEFORE.search(before) or not (plain_word or before[-1:].isalnum()):
                    return True
            at = text.find(name, at + 1)
    return False


def read_named(text: str, tool_names: Collection[str]) -> list[Call]:
    """Reads nothing: what a name and its surroundings mean would be guessed.

    Raises:
        Unreadable: `call_tags`, always.
    """
    raise Unreadable("call_tags", "a tool is called in a notation that is not read")
