"""Which tool result answers which call: by id, else by name, else by place."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....plain import literal
from ..json_text import loads
from ..rows import RowError


@dataclass(frozen=True)
class Result:
    """One tool message.

    Attributes:
        text: What the tool answered.
        id: Of the call that it answers; None if the format does not say.
        name: Of the tool; None if the format does not say.
    """

    text: str
    id: str | None = None
    name: str | None = None


def arranged(
    results: Sequence[Result], ids: Sequence[str | None], names: Sequence[str]
) -> tuple[tuple[str, ...], bool]:
    """Results in the order of the calls.

    Args:
        results: At least one.
        ids: Of the calls, None for one that has none; empty if none has. No two calls and no two results have
            the same, and where every call has one, a result's id is one of these.
        names: Of the calls.

    Returns:
        The texts, and whether there is one for each call. If not, they stand as they came.

    Raises:
        RowError: `call_without_result`, where all results name their calls and one is missing.
    """
    named = bool(ids) and all(ids) and all(one.id is not None for one in results)
    if len(results) == 1 and not named and (texts := _taken_apart(results[0].text, len(names))):
        return texts, True
    open_calls = dict(enumerate(names))
    found: dict[int, str] = {}
    rest: list[Result] = []
    for one in results:
        place = list(ids).index(one.id) if one.id is not None and one.id in ids else None
        if place is None:
            rest.append(one)
        else:
            found[place] = one.text
            del open_calls[place]
    if named and open_calls:
        missing = ids[next(iter(open_calls))]
        raise RowError("call_without_result", f"no tool message answers the call {missing!r:.60}")
    waiting = [one.name for one in rest]
    called = list(open_calls.values())
    if len(set(called)) == len(called) and sorted(called) == sorted(name or "" for name in waiting):
        by_name = {name: place for place, name in open_calls.items()}
        found |= {by_name[one.name]: one.text for one in rest if one.name is not None}
    elif len(rest) == len(open_calls):
        found |= {place: one.text for place, one in zip(open_calls, rest, strict=True)}
    else:
        return tuple(one.text for one in results), False
    return tuple(found[place] for place in range(len(names))), True


def _taken_apart(text: str, calls: int) -> tuple[str, ...]:
    """The results in a message that holds Python's `str(list)` of all of them; empty for any other."""
    if not (text.startswith("[") and text.endswith("]")):
        return ()
    value = literal(text)
    fits = isinstance(value, list) and len(value) == calls and all(isinstance(one, str) for one in value)
    return tuple(value) if fits else ()


_TAGGED = re.compile(r"\s*<tool_response>(.*?)</tool_response>", re.DOTALL)


def tagged_results(text: str) -> list[Result]:
    """The results in a message that is nothing but `<tool_response>` blocks; none for any other.

    Hermes puts a result into an object of its `name` and `content`, maybe with the call's `tool_call_id`: it
    tells which call is answered, and stays as it is.
    """
    found, at = [], 0
    while match := _TAGGED.match(text, at):
        found.append(_result(match[1].strip()))
        at = match.end()
    return found if not text[at:].strip() else []


def _result(text: str) -> Result:
    if not text.startswith("{"):
        return Result(text)
    try:
        value = loads(text)
    except RowError:
        value = literal(text)
    if not isinstance(value, dict) or "content" not in value:
        return Result(text)
    name, id = value.get("name"), value.get("tool_call_id")
    return Result(text, id if isinstance(id, str) and id else None, name if isinstance(name, str) else None)


def written(value: Any) -> str:
    """A result as text; a value that is not a text as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
