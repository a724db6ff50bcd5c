"""A message's content, sorted: text, thoughts, calls and results, as several APIs write their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..fields import blank, unread
from ..json_text import opened
from ..rows import RowError
from .results import written

_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
_THOUGHT_PARTS = ("reasoning", "thinking")
_CALL_PARTS = ("tool_call", "tool_use", "function_call", "tool_calls")
_MEDIA_PARTS = (
    "image",
    "image_url",
    "input_image",
    "input_audio",
    "audio",
    "video",
    "video_url",
    "input_file",
)
_HYPHENED = ("tool-call", "tool-result")  # in Vercel's AI SDK
_ANSWERS = ("content", "value", "output", "result")
_RESULT_PARTS = ("tool_result", "tool_response")


@dataclass
class Said:
    """A message's content, its parts sorted."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    results: list[tuple[str, str | None]] = field(default_factory=list)


def stated(message: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What stands under the first of two names of a field that has anything.

    Raises:
        RowError: `row_shape` if both do, and differ.
    """
    first, second = message.get(keys[0]), message.get(keys[1])
    if first is None or second is None:
        return second if first is None else first
    if not blank(first) and not blank(second) and first != second:
        raise RowError("row_shape", f"a message has {keys[0]} and {keys[1]}, which differ")
    return second if blank(first) and not blank(second) else first


def one_of(message: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What stands under several names of a field; None if nothing does.

    Raises:
        RowError: `row_shape` if two have something, and differ.
    """
    found = {key: message[key] for key in keys if not blank(message.get(key))}
    if any(value != next(iter(found.values())) for value in found.values()):
        raise RowError("row_shape", f"a message has {' and '.join(found)}, which differ")
    return next(iter(found.values()), None)


def sorted_content(content: Any, who: str, flags: list[str]) -> Said:
    """Sorts the parts of a message's content.

    Raises:
        RowError: `row_shape` for a part that is not read.
    """
    said = Said()
    if isinstance(content, str):
        parts = _parts_as_text(content) if who != "result" else None
        if parts is None:
            said.texts.append(content)
            return said
        content = parts
    if who == "calls" and not (isinstance(content, list) and content and all(map(is_text, content))):
        said.calls += [] if content is None else [content]
        return said
    if isinstance(content, list) and (who != "result" or _are_parts(content)):
        for part in content:
            _part(part, said, flags)
    elif who == "result":
        said.texts.append("" if content is None else written(content))
    elif content is not None:
        raise RowError("row_shape", f"a message's content is a {type(content).__name__}, not text")
    return said


def _parts_as_text(content: str) -> list[Any] | None:
    """The text parts in a content that a converter wrote as JSON; None for any other."""
    if not content.startswith("[{") or '"type"' not in content or not content.endswith("}]"):
        return None
    try:
        parts = opened(content)
    except RowError:
        return None
    texts = isinstance(parts, list) and all(
        isinstance(one, Mapping)
        and one.keys() == {"type", "text"}
        and one["type"] in _TEXT_PARTS
        and isinstance(one["text"], str)
        for one in parts
    )
    return parts if texts else None


def is_text(part: Any) -> bool:
    """Whether a part is text and nothing else."""
    return isinstance(part, Mapping) and part.keys() == {"type", "text"} and part["type"] in _TEXT_PARTS


def _are_parts(content: Sequence[Any]) -> bool:
    """Whether a list is parts of a message, and not a value that a tool gave back."""
    kinds = (*_TEXT_PARTS, *_RESULT_PARTS, *_HYPHENED, *_MEDIA_PARTS)
    return bool(content) and all(isinstance(one, Mapping) and one.get("type") in kinds for one in content)


def _part(part: Any, said: Said, flags: list[str]) -> None:
    if isinstance(part, str):
        said.texts.append(part)
        return
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or (kind is not None and not isinstance(kind, str)):
        raise RowError("row_shape", f"a message holds a part that is a {type(part).__name__}")
    kind = kind.replace("-", "_") if kind in _HYPHENED else kind
    if kind in _CALL_PARTS:
        said.calls.append(part["value"] if set(part) <= {"type", "value"} and "value" in part else part)
        return
    if kind in _RESULT_PARTS:
        known = (*_ANSWERS, "type", "toolName", "tool_use_id", "tool_call_id", "toolCallId", "id")
        flags += unread("part", part, known)
        value = one_of(part, _ANSWERS)
        if (
            isinstance(value, Mapping)
            and value.keys() == {"type", "value"}
            and value["type"] in ("text", "json")
        ):
            value = value["value"]  # as Vercel's AI SDK says what it is
        inner = sorted_content(value, "result", flags)
        named = next((part[key] for key in known[-4:] if part.get(key) is not None), None)
        said.results.append(("".join(inner.texts), identifier(named)))
        return
    if kind in _THOUGHT_PARTS and isinstance(part.get(kind), list):  # as Mistral writes a thought
        inner = sorted_content(part[kind], "thought", flags)
        if inner.calls or inner.results:
            raise RowError("row_shape", "a thought holds calls or results")
        part = {**part, kind: "".join((*inner.thoughts, *inner.texts))}
    keys = ("value", "text", *((kind,) if kind in (*_THOUGHT_PARTS, "refusal") else ()))
    texts = [part[key] for key in keys if not blank(part.get(key))]
    if kind not in (None, *_TEXT_PARTS, *_THOUGHT_PARTS) or not all(isinstance(one, str) for one in texts):
        raise RowError("row_shape", f"a message holds a part of the type {kind!r:.40}, which is not read")
    if len(set(texts)) > 1 or (kind is None and not texts and not isinstance(part.get("text"), str)):
        raise RowError("row_shape", "a message holds a part whose text is not clear")
    flags += unread("part", part, ("type", *keys))
    (said.thoughts if kind in _THOUGHT_PARTS else said.texts).append(texts[0] if texts else "")


def identifier(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and value != "" else None
