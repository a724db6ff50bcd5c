"""Conversations of Cohere's first chat API, as messages of OpenAI's form.

Row: `chat_history` of `{"role": "USER" | "CHATBOT" | "SYSTEM" | "TOOL", "message"}`, a chatbot's with
`tool_calls` (`{"name", "parameters"}`), a tool's with `tool_results` (`{"call", "outputs"}`); then `message`,
what the user said last, `text`, the answer to it, and `preamble`, the system prompt.
Source: the reference of Cohere's chat API, version 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fields import blank
from ...rows import RowError
from .dialect import Translated, listed, objects, whole

_ROLES = {"user": "user", "chatbot": "assistant", "system": "system", "tool": "tool"}
_READ = ("role", "message", "tool_calls", "tool_results")
_ENDED = ("COMPLETE", "STOP_SEQUENCE")


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    history = listed(row, ("chat_history",)) if isinstance(row, Mapping) and "messages" not in row else None
    return (
        isinstance(history, list)
        and bool(history)
        and all(isinstance(one, Mapping) and str(one.get("role")).lower() in _ROLES for one in history)
    )


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape`, `result_without_call`, `cut_off`.
    """
    outer = dict(row)
    said = objects(outer.pop("chat_history"), "chat_history")
    whole(outer.pop("finish_reason", None), _ENDED)
    preamble, asked, answer = (outer.pop(key, None) for key in ("preamble", "message", "text"))
    if not blank(preamble):
        said.insert(0, {"role": "SYSTEM", "message": preamble})
    if not blank(asked):
        said.append({"role": "USER", "message": asked})
    calls = outer.pop("tool_calls", None)
    if not blank(answer) or not blank(calls):
        said.append({"role": "CHATBOT", "message": answer, "tool_calls": calls})
    made: list[dict[str, Any]] = []
    called: list[dict[str, Any]] = []
    for number, message in enumerate(said):
        role = _ROLES[str(message["role"]).lower()]
        rest = {str(k): v for k, v in message.items() if k not in _READ}
        if role == "tool":
            made += _results(objects(message.get("tool_results") or [], "tool_results"), called, rest)
            continue
        one = {**rest, "role": role, "content": message.get("message")}
        if not blank(message.get("tool_calls")):
            called = [
                {"id": f"{number}.{place}", **call}
                for place, call in enumerate(objects(message["tool_calls"], "tool_calls"))
            ]
            one["tool_calls"] = called
        made.append(one)
    return {**outer, "messages": made}, []


def _results(
    results: list[Mapping[str, Any]], called: list[dict[str, Any]], rest: dict[str, Any]
) -> list[dict[str, Any]]:
    """Results as messages; each repeats its call."""
    waiting = list(called)
    made = []
    for result in results:
        told = result.get("call")
        call = told if isinstance(told, Mapping) else {}
        own = next((one for one in waiting if _same(one, call)), None)
        if own is None:
            raise RowError("result_without_call", "a tool result belongs to no call")
        waiting.remove(own)
        beside = {str(k): v for k, v in result.items() if k not in ("call", "outputs")}
        beside |= {f"call.{k}": v for k, v in call.items() if k not in ("name", "parameters")}
        said = {"role": "tool", "tool_call_id": own["id"], "content": result.get("outputs")}
        made.append({**rest, **beside, **said})
    return made


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("name", "parameters"))
