"""Reading calls in whatever notation a text has them; what is not read is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from ..intent import Intent, find_intent
from ..tokens import has_surrogates
from ..types import Call
from .body import read_body, read_python
from .foreign import read_foreign
from .harmony import read_harmony
from .named import read_named
from .react import read_react
from .reading import Reading, Unreadable
from .tags import read_tags, without_end

_READERS: dict[str, Callable[[str, Collection[str]], list[Call]]] = {
    "harmony": read_harmony,
    "tags": read_tags,
    "react": read_react,
    "json": read_body,
    "call_list": read_python,
    "python": read_python,
    "fenced": read_body,
    "foreign": read_foreign,
    "named": read_named,
}
_OPENING = re.compile(r"<([\w.:-]{1,40})>\Z")
_AROUND = " \t\r\n`"


def read_notation(text: str, tool_names: Collection[str] = ()) -> Reading:
    """Reads the calls in a text, in any public notation; nothing is guessed, nothing left out silently.

    Args:
        text: An assistant's message, without its thought.
        tool_names: Names of the offered tools. Given as a mapping (`index_tools`), their schemas tell a
            number from a text in the notations that write all values as raw text.

    Returns:
        The calls and the plain text around them; or why what was meant as calls cannot be read; or plain
        text, with `calls`, `notation` and `problem` all None.
    """
    whole = without_end(text)
    intent = find_intent(whole, tool_names)
    if intent is None:
        return Reading(None, None, None, text)
    try:
        calls = _read(whole, intent, tool_names)
    except Unreadable as error:
        return Reading(None, intent.notation, error.problem, text, error.detail)
    except RecursionError:
        return Reading(None, intent.notation, "too_deep", text)
    around = _without_tags(whole[: intent.start].strip(_AROUND), whole[intent.end :].strip(_AROUND))
    return Reading(calls, intent.notation, None, "\n\n".join(part for part in around if part))


def _without_tags(before: str, behind: str) -> list[str]:
    """What stands before calls and behind them, without the one pair of tags that holds nothing else."""
    if (opening := _OPENING.search(before)) and behind.startswith(closing := f"</{opening[1]}>"):
        return [before[: opening.start()].strip(_AROUND), behind.removeprefix(closing).strip(_AROUND)]
    return [before, behind]


def _read(text: str, intent: Intent, tool_names: Collection[str]) -> list[Call]:
    calls = _READERS[intent.notation](text[intent.start : intent.end].strip(), tool_names)
    if any(has_surrogates(call.name) or has_surrogates(call.arguments) for call in calls):
        raise Unreadable("bad_character", "a call holds an unpaired surrogate")
    return calls
