"""A request and the answer to it, as logs and stored completions hold them, as one conversation.

Row: `messages` or `conversations` (or `request` with them) and the answer beside them: `choices` of
OpenAI's API, or `response`, which is that API's object, a message (as Anthropic's API answers), or the text.
And `prompt` with `completion`, two lists of messages, as TRL has them; in preference data the answer is the
one that was `chosen`, or that is the whole conversation. A row whose messages end in a response has its
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...conversation.chat import LISTS
from ...conversation.messages import ROLES
from ...fields import blank, field_name, unread
from ...rows import RowError
from .dialect import Translated, listed, objects

_KEYS = ("choices", "response", "chosen")
_LISTS = ("messages", *(key for key in LISTS if key != "messages"))


def speaks(row: Any) -> bool:
    """Whether a row is in this form."""
    if not isinstance(row, Mapping):
        return False
    own = any(not blank(row.get(key)) for key in _LISTS)
    if not own and _by_parts(row) is not None:
        return True
    if all(blank(row.get(key)) for key in _KEYS):
        return False
    asked = row.get("request")
    messages = listed(asked if isinstance(asked, Mapping) and not own else row, _LISTS)
    return _are_messages(messages) and not _responds(messages[-1])


def _by_parts(row: Mapping[str, Any]) -> tuple[list[Any], tuple[str, ...]] | None:
    """The messages of a row that has its answer apart, and the keys that hold them; None for another row."""
    asked = listed(row, ("prompt",))
    for key in ("completion", "chosen"):
        answer = listed(row, (key,))
        answer = [answer] if isinstance(answer, Mapping) else answer
        if not _are_messages(answer):
            continue
        if _responds(answer[0]):
            return ([*asked, *answer], ("prompt", key)) if _are_messages(asked) else None
        if key == "chosen" and _responds(answer[-1]):
            said = [one.get("content", one.get("value")) for one in answer[:-1]]
            return answer, (key, *(["prompt"] if row.get("prompt") in said or asked == answer[:-1] else []))
    return None


def _are_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and _speaker(one) is not None for one in value)
    )


def _speaker(message: Mapping[str, Any]) -> Any:
    return message.get("role", message.get("from"))


def _responds(message: Mapping[str, Any]) -> bool:
    """Whether the assistant speaks, or makes its calls."""
    return ROLES.get(str(_speaker(message))) in ("assistant", "calls")


def translated(row: Any) -> Translated:
    """A row with its messages in one list, and the flags for what is left out.

    Raises:
        RowError: `row_shape` for more than one answer, or one that is no message.
    """
    outer = dict(row)
    if all(blank(outer.get(key)) for key in _LISTS) and "request" in outer:
        asked = outer.pop("request")
        if twice := [key for key in asked if not blank(outer.get(key)) and outer[key] != asked[key]]:
            raise RowError("row_shape", f"{field_name(twice[0])} of the request and of the row differ")
        outer = {**outer, **asked}
    place = next((key for key in _LISTS if not blank(outer.get(key))), None)
    if place is None and (parts := _by_parts(outer)) is not None:
        said, keys = parts
        return {**{key: value for key, value in outer.items() if key not in keys}, "messages": said}, []
    flags: list[str] = []
    told = [key for key in _KEYS if not blank(outer.get(key))]
    answers = [_answer(outer.pop(key), key, flags) for key in told]
    if any(one != answers[0] for one in answers):
        raise RowError("row_shape", f"{' and '.join(told)} differ")
    place = place or _LISTS[0]
    return {**outer, place: [*objects(outer[place], place), answers[0]]}, flags


def _answer(value: Any, key: str, flags: list[str]) -> dict[str, Any]:
    """The one message in an answer."""
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    if isinstance(value, Mapping) and "choices" in value:
        flags += unread("row", value, ("choices", "object"))
        value = value["choices"]
    if isinstance(value, Mapping) and _speaker(value) is not None:
        return {str(k): v for k, v in value.items() if k != "type" or v != "message"}
    choices = objects(value, key)
    if key == "chosen" and len(choices) == 1 and _speaker(choices[0]) is not None:
        return dict(choices[0])
    if len(choices) != 1 or not isinstance(choices[0].get("message"), Mapping):
        raise RowError("row_shape", f"{key} holds {len(choices)} answers, or one that is no message")
    choice = choices[0]
    flags += unread("row", choice, ("index", "message", "finish_reason"))
    ended = {} if blank(choice.get("finish_reason")) else {"finish_reason": choice["finish_reason"]}
    return {"role": "assistant", **choice["message"], **ended}
