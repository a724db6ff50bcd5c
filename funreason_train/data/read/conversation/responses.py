"""How an assistant's message is read as thought, calls and text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....calls import Call, CallSyntaxError, Reading, find_intent, index_tools, read_notation
from ..names import parse_odd_calls
from ..rows import RowError
from ..toolsets import Tool
from .thoughts import check_edges, thought_and_answer

_WRAPPER = re.compile(r"<(tool_call|answer)>")
_FENCE = re.compile(r"```(?:json|python)?[^\S\n]*\n")
_JSON = re.compile(r"""\{\s*["'][^"'\n]*["']\s*:""")
_NO_SIGN = re.compile(r"""[^{}\[\]()<>="|\\_]*""")  # of a call
_WORD = re.compile(r"[\w.:/-]*\w")
#: What only announces the calls behind it.
_LABEL = re.compile(
    r"(?:api[- ]requests?|(?:(?:tool|function|api)[- ])?calls?|calling tools?|actions?)\s*:", re.I
)
_REACT_THOUGHT = re.compile(r"\A(?:ASSISTANT )?(?:Thought|Reasoning)\s*:\s*")


def read_response(
    content: str,
    flags: list[str],
    tools: Sequence[Tool] | None = None,
    *,
    text_beside: bool = False,
    calls_beside: bool = False,
) -> tuple[str, tuple[Call, ...], str]:
    """An assistant message as thought, calls and text.

    Args:
        content: As the data set writes it.
        tools: The offered ones; a call list may use their names even where the call language has no spelling.
        flags: Receives what had to be repaired: `json_calls` and `other_notation` (calls in JSON, or in
            another notation than the call language), `text_in_tool_call` (a plain reply inside call tags).
        text_beside: Whether there may be text beside calls.
        calls_beside: Whether the calls stand elsewhere, so that here may be a thought alone, or an empty one.

    Returns:
        The three; a text beside calls only if it may be.

    Raises:
        RowError: `unclosed_think`, `empty_answer`, `call_syntax`.
    """
    thought, body = thought_and_answer(content.strip(), flags)
    wrapped, outside = _wrapped(body)
    parts = [("", body)] if outside or not wrapped else wrapped
    if not any(text for _, text in parts):
        if calls_beside:
            return thought, (), ""
        raise RowError("empty_answer")
    calls: list[Call] = []
    texts: list[str] = []
    thoughts = [thought]
    replies = 0  # inside the tags of a call
    for tag, part in parts:
        try:
            calls += parse_odd_calls(_unfenced(part), tools or ())
            continue
        except CallSyntaxError:
            pass
        if not tag and find_intent(part, [tool["name"] for tool in tools or ()]) is None:
            texts.append(part)  # most replies are plain text, and need no schemas
            continue
        shown = f"<{tag}>{part}</{tag}>" if tag == "tool_call" else part
        reading = read_notation(shown, index_tools(tools or ()))
        if reading.calls is None:
            texts.append(_reply(part, tag, reading, flags))
            replies += tag == "tool_call"
            continue
        calls += reading.calls
        flags.append("json_calls" if _JSON.search(part) else "other_notation")
        if reading.notation == "react" and _REACT_THOUGHT.match(reading.text):
            thoughts.append(_REACT_THOUGHT.sub("", reading.text))
        elif reading.text and not _LABEL.fullmatch(reading.text):
            texts.append(reading.text)
    if replies and calls:
        raise RowError("call_syntax", "of the tags of calls in a response, one holds a plain reply")
    if wrapped and outside and not calls:
        raise RowError("call_syntax", "text stands beside the tagged answer")
    for text in texts:
        check_edges(text)
    if calls and texts and not text_beside:
        raise RowError("call_syntax", "calls and text in one response")
    return "\n\n".join(one for one in thoughts if one), tuple(calls), "\n\n".join(texts)


def _reply(part: str, tag: str, reading: Reading, flags: list[str]) -> str:
    """A part without calls that can be read, if it is a text.

    Raises:
        RowError: `call_syntax` for what was meant as calls.
    """
    if reading.problem is None or (tag == "tool_call" and " " in part and _NO_SIGN.fullmatch(part)):
        if tag == "tool_call":
            if _WORD.fullmatch(part):  # a call without arguments, as GLM writes it
                raise RowError("call_syntax", f"{part:.60} alone stands inside the tags of a call")
            flags.append("text_in_tool_call")
        return part
    raise RowError("call_syntax", f"{reading.detail}: {part[:120]}")


def _wrapped(body: str) -> tuple[list[tuple[str, str]], str]:
    """What stands inside pairs of tags, as (tag, text), and what stands outside; in linear time."""
    found, outside, at, unclosed = [], [], 0, set()  # type: list[tuple[str, str]], list[str], int, set[str]
    for opening in _WRAPPER.finditer(body):
        tag = opening.group(1)
        if opening.start() < at or tag in unclosed:
            continue
        end = body.find(f"</{tag}>", opening.end())
        if end < 0:
            unclosed.add(tag)
            continue
        found.append((tag, body[opening.end() : end].strip()))
        outside.append(body[at : opening.start()])
        at = end + len(f"</{tag}>")
    return found, "".join([*outside, body[at:]]).strip()


def _unfenced(text: str) -> str:
    """The text inside a Markdown fence that is all there is; any other text as it stands."""
    opening = _FENCE.match(text)
    if opening is None or not text.endswith("```"):
        return text
    inside, _, last = text[opening.end() - 1 : -3].rpartition("\n")
    return text if last.strip() else inside.strip()
