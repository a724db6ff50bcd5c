"""Reading what a model wrote after the prompt's `<think>`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from ..calls.intent import find_intent
from ..calls.markers import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN, TURN_MARKERS, find_markers
from ..calls.parse import REASONS, CallSyntaxError, parse_calls
from ..calls.types import Call
from .escape import unescape_markers

FORM_ERRORS = (
    "unclosed",  # no </think>: the thought never ended
    "repeated_think",  # a second </think>, or a <think> anywhere but at the very start
    "stray_marker",  # another control marker, or a <tool_call> tag without its partner
    "empty_answer",  # nothing after the thought
    "mixed_answer",  # calls inside prose, or in another notation than the call list
)
"""What can be wrong with a completion's form, besides the `REASONS` of a call list that does not parse."""

ERRORS = (*FORM_ERRORS, *REASONS)

_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Completion:
    """A completion, taken apart.

    Attributes:
        thought: The chain of thought, without surrounding white space.
        answer: What follows it, without surrounding white space and `<tool_call>` tags; empty if unclosed.
        calls: The calls; `[]` when the answer is plain text; None when the completion is malformed, which is
            never a right reply, not even where plain text is right.
        closed: Whether there is a `</think>`.
        error: One of `FORM_ERRORS` or of the call language's `REASONS`; empty for a well-formed completion.
    """

    thought: str
    answer: str
    calls: list[Call] | None
    closed: bool
    error: str = ""


def read_completion(text: str, *, lenient: bool = False, tool_names: Collection[str] = ()) -> Completion:
    """Reads a completion: a thought, exactly one `</think>`, then a call list or plain text.

    One `<think>` at the very start and one end-of-turn marker at the very end are passed over. Calls in any
    other notation are neither calls nor plain text (see `calls.find_intent`). Never raises; linear in the
    text's length.

    Args:
        text: What follows the prompt's own `<think>`.
        lenient: As FunReason-MT's model card reads it: the answer is whatever follows the last `</think>`,
            and the thought may contain anything. The answer itself is read as strictly.
        tool_names: Names of the offered tools, where they are known: evidence that a bare call of one of
            them was meant as a call.
    """
    thought, answer, closed, error = split_completion(text, lenient=lenient)
    if error:
        return Completion(thought, answer, None, closed, error)
    calls, error = read_answer(answer, tool_names)
    return Completion(thought, _untag(answer)[0], calls, True, error)


def split_completion(text: str, *, lenient: bool = False) -> tuple[str, str, bool, str]:
    """The first half of `read_completion`, without reading the answer.

    Returns:
        The thought, the answer, whether there is a `</think>`, and the fault of form that shows already, or
        an empty string.
    """
    start = text.find("<")
    if start >= 0 and text.startswith(THINK_CLOSE, start):
        answer = text[start + len(THINK_CLOSE) :].strip()
        if "<" not in answer:  # no other marker anywhere
            return text[:start].strip(), answer, True, ""
    if text.rstrip()[-1:] == ">":
        text = _without_end(text)
    before, close, answer = text.rpartition(THINK_CLOSE)
    thought = (before if close else answer).strip()
    if thought.startswith(THINK_OPEN):
        thought = thought[len(THINK_OPEN) :].lstrip()
    if not close:
        return thought, "", False, "unclosed"
    answer = answer.strip()
    if not lenient and ("<" in thought or THINK_OPEN in answer):
        markers = find_markers(thought)
        if THINK_OPEN in markers or THINK_CLOSE in markers or THINK_OPEN in answer:
            return thought, answer, True, "repeated_think"
        if any(marker in TURN_MARKERS for marker in markers):
            return thought, answer, True, "stray_marker"
    return thought, answer, True, ""


def read_answer(answer: str, tool_names: Collection[str] = ()) -> tuple[list[Call] | None, str]:
    """The second half: the calls, as in `Completion`, and the error, of what follows the thought."""
    return _read_answer(*_untag(answer), tool_names)


def history_answer(text: str) -> str | None:
    """What a later prompt shows of a completion: the text after the last `</think>`, or None."""
    _, close, answer = _without_end(text).rpartition(THINK_CLOSE)
    return answer.strip() if close else None


def _without_end(text: str) -> str:
    stripped = text.rstrip()
    if stripped[-1:] == ">":
        for marker in TURN_MARKERS[1:]:
            if stripped.endswith(marker):
                return stripped.removesuffix(marker)
    return text


def _untag(answer: str) -> tuple[str, bool]:
    if answer.startswith(CALL_OPEN) and answer.endswith(CALL_CLOSE):
        return answer[len(CALL_OPEN) : -len(CALL_CLOSE)].strip(), True
    return answer, False


def _read_answer(
    answer: str, tagged: bool, tool_names: Collection[str] = ()
) -> tuple[list[Call] | None, str]:
    """The calls (`[]` for plain text, None if malformed) and the error."""
    if not answer:
        return None, "empty_answer"
    try:
        return parse_calls(answer), ""
    except CallSyntaxError as error:
        reason = error.reason
    if tagged:  # tags hold calls, never text
        return None, reason
    if find_markers(answer):
        return None, "stray_marker"
    if reason == "too_long" or (reason == "no_calls" and not answer.strip("[ \t\r\n\f]")):
        return None, reason
    if not _WORD.search(answer):
        return None, "empty_answer"
    # A target shows a marker of its row's text with a backslash; that does not make a call of it a text.
    intent = find_intent(unescape_markers(answer) if "<\\" in answer else answer, tool_names)
    if intent is None:
        return [], ""
    leads = intent.notation == "call_list" and not answer[: intent.start].strip()
    return None, reason if leads and reason != "not_a_list" else "mixed_answer"
