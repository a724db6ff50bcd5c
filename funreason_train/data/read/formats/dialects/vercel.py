"""The UI messages of Vercel's AI SDK, whose parts hold text, thoughts, calls and their results together.

Row: `messages`, or that list itself, of `{"role", "parts": […]}`. A part is of the type `text`, `reasoning`,
`step-start`, `tool-NAME` or `dynamic-tool` (version 5: `toolCallId`, `state`, `input`, `output` or
`errorText`), or `tool-invocation` (version 4: `toolInvocation` with `toolName`, `args`, `result`). Calls
without anything between them are made in parallel. Source: the reference of the AI SDK's `UIMessage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...fields import blank, unread
from ...rows import RowError
from .dialect import Translated, either, listed, objects

_DONE = ("output-available", "output-error", "result")
_WAITING = ("input-available", "call")
_OF_CALLS = (
    *("type", "toolCallId", "toolName", "state", "step"),
    *("input", "args", "output", "result", "errorText"),
)
_TOOL = "tool-"


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    messages = listed(row, ("messages",)) if isinstance(row, Mapping) else row
    return (
        isinstance(messages, list)
        and any(isinstance(one, Mapping) and "parts" in one and _has_kinds(one["parts"]) for one in messages)
        and all(isinstance(one, Mapping) and "role" in one for one in messages)
    )


def _has_kinds(parts: Any) -> bool:
    """Whether these are parts of a type each, which Gemini's have not."""
    return isinstance(parts, list) and any(isinstance(one, Mapping) and "type" in one for one in parts)


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape` for a part that is not read, `cut_off` for a call that was not finished.
    """
    flags: list[str] = []
    outer = dict(row) if isinstance(row, Mapping) else {"messages": row}
    made: list[dict[str, Any]] = []
    for message in objects(outer["messages"], "messages"):
        if isinstance(message.get("parts"), list):
            made += _message(message, flags)
        else:
            made.append(dict(message))
    return {**outer, "messages": made}, flags


def _message(message: Mapping[str, Any], flags: list[str]) -> list[dict[str, Any]]:
    """A message as those of OpenAI's form: each of its responses, and the results of each."""
    parts = objects(message["parts"], "parts")
    kinds = [str(part.get("type")) for part in parts]
    texts = [str(part.get("text")) for part, kind in zip(parts, kinds, strict=True) if kind == "text"]
    if not blank(message.get("content")) and message["content"] not in ("".join(texts), "\n".join(texts)):
        raise RowError("row_shape", "a message's content and its parts differ")
    read = {"id", "parts", "content", "createdAt", *_said_twice(message, parts, kinds)}
    beside = {str(k): v for k, v in message.items() if k not in read}
    if message["role"] != "assistant":
        said = [part for part in parts if part.get("type") != "step-start"]
        return [{**beside, "content": said}]
    steps: list[dict[str, list[Any]]] = [{"said": [], "calls": [], "results": []}]
    for part, kind in zip(parts, kinds, strict=True):
        call = kind.startswith(_TOOL) or kind == "dynamic-tool"
        if steps[-1]["calls"] and not call:
            steps.append({"said": [], "calls": [], "results": []})
        if call:
            _call(part, kind, steps[-1], flags)
        elif kind in ("text", "reasoning"):
            steps[-1]["said"].append({k: v for k, v in part.items() if k not in _repeated(part)})
        elif kind.startswith(("source-", "data-")) or kind == "source":
            flags.append(f"unread_part_field:{kind:.20}")
        elif kind == "step-start":
            flags += unread("part", part, ("type",))
        else:
            raise RowError("row_shape", f"a message holds a part of the type {kind!r:.40}, which is not read")
    made: list[dict[str, Any]] = []
    for step in steps:
        if step["said"] or step["calls"]:
            calls = {"tool_calls": step["calls"]} if step["calls"] else {}
            made += [{**beside, "content": step["said"], **calls}, *step["results"]]
    return made


def _repeated(part: Mapping[str, Any]) -> set[str]:
    """Fields of a part that say nothing, or what it says elsewhere as well (version 4's `details`)."""
    details = part.get("details")
    texts = [one.get("text") for one in details or () if isinstance(one, Mapping)]
    whole = isinstance(details, list) and all(
        isinstance(one, Mapping) and one.keys() <= {"type", "text", "signature"} for one in details
    )
    told = whole and "".join(map(str, texts)) == either(part, "reasoning", "text")
    return {"state", "details"} if told else {"state"}


def _said_twice(
    message: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], kinds: Sequence[str]
) -> list[str]:
    """What version 4 writes a second time beside the parts, and says there as well."""
    invoked = [part.get("toolInvocation") for part in parts]
    calls = message.get("toolInvocations")
    found = ["toolInvocations"] if isinstance(calls, list) and all(one in invoked for one in calls) else []
    return [*found, "reasoning"] if "reasoning" in kinds else found


def _call(part: Mapping[str, Any], kind: str, step: dict[str, list[Any]], flags: list[str]) -> None:
    """A call, and its result if it has one."""
    fields = dict(part)
    if isinstance(part.get("toolInvocation"), Mapping):
        fields |= part["toolInvocation"]
        del fields["toolInvocation"]
    elif kind.startswith(_TOOL):
        fields.setdefault("toolName", kind.removeprefix(_TOOL))
    state = fields.get("state")
    if state not in (*_DONE, *_WAITING):
        raise RowError("cut_off", f"a call is in the state {state!s:.40}")
    named = fields.get("toolCallId")
    given = either(fields, "input", "args")
    call = {"id": named, "name": fields.get("toolName"), "arguments": {} if given is None else given}
    step["calls"].append(call)
    flags += unread("part", fields, _OF_CALLS)
    if state in _DONE:
        told = fields.get("errorText") if state == "output-error" else either(fields, "output", "result")
        step["results"].append({"role": "tool", "tool_call_id": named, "content": told})
