"""What reading a text for calls gives: the calls, or the reason why they cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from ..parse import REASONS
from ..types import Call

PROBLEMS = {
    **dict.fromkeys(REASONS, "the call list does not parse"),
    "json": "the JSON of a call is damaged",
    "duplicate_argument": "an argument or a key is given twice",
    "no_name": "a call does not say which tool it calls",
    "arguments_not_object": "the arguments of a call are not an object",
    "unread_key": "a call has a key that is neither its name nor its arguments",
    "untyped_value": "a value could be a text or something else, and no schema says which",
    "call_tags": "what stands inside the tags of a call is not a call",
}
"""Every reason why something that is meant as calls is not read, and what it means."""


@dataclass(frozen=True)
class Reading:
    """A text, taken apart into calls and what stands around them.

    Attributes:
        calls: The calls; None if the text is plain text, or if its calls cannot be read.
        notation: The notation of the calls (see `intent.NOTATIONS`); None for plain text.
        problem: Why the calls cannot be read, one of `PROBLEMS`; None if they were read or if there are none.
        text: The plain text around the calls; the whole text where no calls were read.
        detail: The problem as a sentence, for people.
    """

    calls: list[Call] | None
    notation: str | None
    problem: str | None
    text: str
    detail: str = ""


class Unreadable(ValueError):
    """Something that is meant as calls cannot be read without guessing.

    Args:
        problem: One of `PROBLEMS`.
        detail: What exactly is wrong; the problem's own meaning if empty.
    """

    def __init__(self, problem: str, detail: str = "") -> None:
        if problem not in PROBLEMS:
            raise ValueError(f"{problem!r} is not in PROBLEMS")
        self.problem, self.detail = problem, detail or PROBLEMS[problem]
        super().__init__(f"{problem}: {self.detail}")
