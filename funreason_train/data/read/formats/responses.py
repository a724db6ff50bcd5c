"""How an assistant's message is read as thought, calls and text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ....calls.parse import CallSyntaxError
from ....calls.types import Call
from ..literals import literal
from ..names import parse_odd_calls
from ..rows import RowError
from ..toolsets import Tool, unwrap
from .calls import read_calls

_WRAPPER = re.compile(r"<(tool_call|answer)>")
_FENCE = re.compile(r"```(?:json|python)?[^\S\n]*\n")
_CALL_LIKE = re.compile(r"\[\s*[\w.-]+\(|\[\s*\{\s*[\"'](name|arguments|function)[\"']|[\w.-]+\([^)]*\)\s*\Z")
_JSON_CALL = re.compile(
    r"\{\s*[\"'](?:name|function|type|id)[\"']\s*:.*[\"'](?:arguments|parameters)[\"']", re.DOTALL
)


def read_response(
    content: str, flags: list[str], tools: Sequence[Tool] | None = None
) -> tuple[str, tuple[Call, ...], str]:
    """An assistant message as thought, calls and text.

    Args:
        content: As the data set writes it.
        tools: The offered ones; a call list may use their names even where the call language has no spelling.
        flags: Receives what had to be mended: `json_calls` (calls in JSON instead of the call language),
            `text_in_tool_call` (a plain reply inside call tags).

    Raises:
        RowError: `unclosed_think`, `empty_answer`, `call_syntax`.
    """
    thought, body = "", content.strip()
    if body.startswith("<think>"):
        thought, closed, body = body.removeprefix("<think>").partition("</think>")
        if not closed:
            raise RowError("unclosed_think")
    elif "</think>" in body:  # the prompt itself ended in <think>
        thought, _, body = body.partition("</think>")
    if "<think>" in thought or "<think>" in body or "</think>" in body:
        raise RowError("unclosed_think", "more than one think block in a response")
    thought, body = thought.strip(), body.strip()
    wrapped, outside = _wrapped(body)
    tagged = any(tag == "tool_call" for tag, _ in wrapped)
    if wrapped and outside:
        raise RowError("call_syntax", "text stands beside the tagged answer")
    parts = [text for _, text in wrapped] or [body]
    if not any(parts):
        raise RowError("empty_answer")
    calls: list[Call] = []
    for part in parts:
        bare = _unfenced(part)
        try:
            calls += parse_odd_calls(bare, tools or ())
        except CallSyntaxError as error:
            if by_name := _calls_by_name(bare, tools or ()):
                calls += by_name
                flags.append("json_calls")
                continue
            in_json = _JSON_CALL.match(bare) or (tagged and bare[:1] == "{")
            if not in_json and not _CALL_LIKE.match(bare):
                if len(parts) > 1:
                    raise RowError("call_syntax", "calls and text in one response") from None
                if tagged:
                    flags.append("text_in_tool_call")
                return thought, (), part
            if bare[:1] not in "[{" or not ('"name"' in bare or "'name'" in bare):
                raise RowError("call_syntax", f"{error}: {bare[:120]}") from None
            calls += _json_calls(bare)
            flags.append("json_calls")
    return thought, tuple(calls), ""


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


def _json_calls(text: str) -> tuple[Call, ...]:
    """Calls written as JSON, as objects one after the other, or as Python writes such a list.

    Raises:
        RowError: as `read_calls`.
    """
    try:
        return read_calls(text)
    except RowError as error:
        if error.reason != "invalid_json":
            raise
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines):
            return tuple(call for line in lines for call in read_calls(line))
        value = literal(text)
        if not isinstance(value, (list, dict)):
            raise
        return read_calls(value)


def _calls_by_name(text: str, tools: Sequence[Tool]) -> tuple[Call, ...]:
    """Calls written as `{TOOL: {ARGUMENT: VALUE}}` or a list of these, as BFCL has them; else none.

    Raises:
        RowError: `call_syntax` for JSON that names a tool in another way, beside what may be its arguments.
    """
    if text[:1] not in ("[", "{"):
        return ()
    try:
        value = unwrap(text)
    except RowError:
        value = literal(text)
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, Mapping) and one for one in found):
        return ()
    names = {tool["name"] for tool in tools}
    pairs = [pair for one in found for pair in one.items()]
    if all(name in names and isinstance(arguments, Mapping) for name, arguments in pairs):
        return tuple(Call(name, dict(arguments)) for name, arguments in pairs)
    named = any(isinstance(one, str) and one in names for _, one in pairs)
    if named and any(isinstance(one, Mapping) for _, one in pairs) and not _JSON_CALL.match(text):
        raise RowError("call_syntax", f"JSON that names a tool is no form of a call: {text[:120]}")
    return ()
