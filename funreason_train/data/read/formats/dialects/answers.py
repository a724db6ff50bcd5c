"""A request and the answer to it, as logs and stored completions hold them, as one conversation.

Row: `messages` (or `request` with them) and the answer beside them: `choices` of OpenAI's API, or `response`,
which is that API's object, a message (as Anthropic's API answers), or the text. And `prompt` with
`completion`, two lists of messages, as TRL has them; in preference data the answer is the one that was
`chosen`, or that is the whole conversation. A row whose messages end in a response has its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fields import blank, field_name, unread
from ...rows import RowError
from .dialect import Translated, listed, objects

_KEYS = ("choices", "response", "chosen")


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    if not isinstance(row, Mapping):
        return False
    if "messages" not in row and _by_parts(row) is not None:
        return True
    if all(blank(row.get(key)) for key in _KEYS):
        return False
    asked = row.get("request")
    messages = listed(asked if isinstance(asked, Mapping) and "messages" not in row else row, ("messages",))
    return _are_messages(messages) and messages[-1].get("role") not in ("assistant", "model")


def _by_parts(row: Mapping[str, Any]) -> tuple[list[Any], tuple[str, ...]] | None:
    """The messages of a row that has its answer apart, and the keys that hold them; None for another row."""
    asked = listed(row, ("prompt",))
    for key in ("completion", "chosen"):
        answer = listed(row, (key,))
        answer = [answer] if isinstance(answer, Mapping) else answer
        if not _are_messages(answer):
            continue
        if answer[0]["role"] == "assistant":
            return ([*asked, *answer], ("prompt", key)) if _are_messages(asked) else None
        if key == "chosen" and answer[-1]["role"] == "assistant":
            said = [one.get("content") for one in answer[:-1]]
            return answer, (key, *(["prompt"] if row.get("prompt") in said or asked == answer[:-1] else []))
    return None


def _are_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and "role" in one for one in value)
    )


def translated(row: Any) -> Translated:
    """A row with its messages in one list, and the flags for what is left out.

    Raises:
        RowError: `row_shape` for more than one answer, or one that is no message.
    """
    outer = dict(row)
    if "messages" not in outer and "request" in outer:
        asked = outer.pop("request")
        if twice := [key for key in asked if not blank(outer.get(key)) and outer[key] != asked[key]]:
            raise RowError("row_shape", f"{field_name(twice[0])} of the request and of the row differ")
        outer = {**outer, **asked}
    if "messages" not in outer and (parts := _by_parts(outer)) is not None:
        said, keys = parts
        return {**{key: value for key, value in outer.items() if key not in keys}, "messages": said}, []
    flags: list[str] = []
    told = [key for key in _KEYS if not blank(outer.get(key))]
    answers = [_answer(outer.pop(key), key, flags) for key in told]
    if any(one != answers[0] for one in answers):
        raise RowError("row_shape", f"{' and '.join(told)} differ")
    return {**outer, "messages": [*objects(outer["messages"], "messages"), answers[0]]}, flags


def _answer(value: Any, key: str, flags: list[str]) -> dict[str, Any]:
    """The one message in an answer."""
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    if isinstance(value, Mapping) and "choices" in value:
        flags += unread("row", value, ("choices", "object"))
        value = value["choices"]
    if isinstance(value, Mapping) and "role" in value:
        return {str(k): v for k, v in value.items() if k != "type" or v != "message"}
    choices = objects(value, key)
    if key == "chosen" and len(choices) == 1 and "role" in choices[0]:
        return dict(choices[0])
    if len(choices) != 1 or not isinstance(choices[0].get("message"), Mapping):
        raise RowError("row_shape", f"{key} holds {len(choices)} answers, or one that is no message")
    choice = choices[0]
    flags += unread("row", choice, ("index", "message", "finish_reason"))
    ended = {} if blank(choice.get("finish_reason")) else {"finish_reason": choice["finish_reason"]}
    return {"role": "assistant", **choice["message"], **ended}
