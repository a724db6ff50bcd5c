"""Gemini's contents and parts, as messages of OpenAI's form.

Row: `contents`, a list of `{"role": user, model or function, "parts": […]}`, or that list itself; a part
holds `text` (with `thought: true` a thought), `functionCall` or `functionResponse`. Beside it stand
`systemInstruction` and `tools`, and maybe `candidates`, the answer as the API gave it. Either spelling of a
key is read (`function_call`).
Source: the reference of the Gemini API, and Vertex AI's form of tuning data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...fields import blank, unread
from ...rows import RowError
from .dialect import Translated, either, listed, objects, whole

_ENDED = ("STOP", "FINISH_REASON_UNSPECIFIED", "FINISH_REASON_STOP")
_CALL, _RESULT = ("functionCall", "function_call"), ("functionResponse", "function_response")
_SIGNATURE = ("thoughtSignature", "thought_signature")  # for the API alone; nobody can read it


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    contents = listed(row, ("contents",)) if isinstance(row, Mapping) else row
    return (
        isinstance(contents, Sequence)
        and bool(contents)
        and all(isinstance(one, Mapping) and "parts" in one and "content" not in one for one in contents)
    )


def translated(row: Any) -> Translated:
    """A row in OpenAI's form, and the flags for what is left out.

    Raises:
        RowError: `row_shape`, `cut_off`.
    """
    flags: list[str] = []
    outer = dict(row) if isinstance(row, Mapping) else {}
    contents = objects(outer.pop("contents") if isinstance(row, Mapping) else row, "contents")
    answers = objects(outer.pop("candidates", None) or [], "candidates")
    if len(answers) > 1:
        raise RowError("row_shape", f"candidates holds {len(answers)} answers")
    for answer in answers:
        whole(either(answer, "finishReason", "finish_reason"), _ENDED)
        contents += objects([answer.get("content")], "candidates")
    system = either(outer, "systemInstruction", "system_instruction")
    for key in ("systemInstruction", "system_instruction"):
        outer.pop(key, None)
    messages = [message for content in contents for message in _messages(content, flags)]
    if not blank(system):
        parts = system.get("parts") if isinstance(system, Mapping) else system
        flags += unread("row", system, ("parts", "role")) if isinstance(system, Mapping) else []
        messages.insert(0, {"role": "system", "content": _system(parts)})
    return {**outer, "messages": messages}, flags


def _system(parts: Any) -> Any:
    if isinstance(parts, str):
        return parts
    said = [parts] if isinstance(parts, Mapping) else parts
    return [{"type": "text", **part} for part in objects(said, "systemInstruction")]


def _messages(content: Mapping[str, Any], flags: list[str]) -> Iterator[dict[str, Any]]:
    """A content as messages: results stand in messages of their own."""
    role, beside = content.get("role", "user"), {k: v for k, v in content.items() if k != "parts"}
    said: list[dict[str, Any]] = []
    for part in objects(content["parts"], "parts"):
        result = either(part, *_RESULT)
        if result is None:
            said.append(_part(part, flags))
            continue
        if said:
            yield {**beside, "role": role, "content": said}
            said = []
        yield _result(result, part)
        flags += unread("message", content, ("parts", "role"))
    if said or blank(content["parts"]):
        yield {**beside, "role": role, "content": said}


def _part(part: Mapping[str, Any], flags: list[str]) -> dict[str, Any]:
    rest = {key: value for key, value in part.items() if key not in _SIGNATURE}
    if len(rest) < len(part):
        flags.append("unread_part_field:thoughtSignature")
    call = either(rest, *_CALL)
    if call is not None:
        beside = [key for key, value in rest.items() if key not in _CALL and not blank(value)]
        if beside or not isinstance(call, Mapping):
            raise RowError(
                "call_syntax", f"a functionCall has {', '.join(map(str, beside)) or 'no name'} beside it"
            )
        return {"type": "function_call", **call}
    if "text" not in rest:
        raise RowError(
            "row_shape", f"a part holds {', '.join(map(str, rest)) or 'nothing'}, which is not read"
        )
    thought = rest.pop("thought", None)
    if thought not in (None, False, True):
        raise RowError("row_shape", "a part's thought is neither true nor false")
    return {"type": "thinking" if thought else "text", **rest}


def _result(result: Any, part: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(result, Mapping) or "response" not in result:
        raise RowError("row_shape", "a functionResponse has no response")
    rest = {key: value for key, value in part.items() if key not in _RESULT}
    response, id = result["response"], result.get("id")
    rest |= {key: value for key, value in result.items() if key not in ("response", "id")}
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    return {**rest, "role": "tool", "content": text, **({} if id is None else {"tool_call_id": id})}
