"""What the reward says of a completion: a reason, and the figures that verl turns into metrics."""

from __future__ import annotations

from collections.abc import Mapping

from funreason_train.dialogue.completion import ERRORS

OUTCOMES = (
    "right",
    "count",  # another number of calls
    "tools",  # another tool
    "arguments",  # another set of argument names
    "values",
    "order",
    "text_for_calls",
    "calls_for_text",
    "empty_thought",
    "over_long",
    "not_text",  # the completion is not a string
    "ground_truth",  # the row cannot be scored
    "options",  # the reward is configured wrongly
    "internal",  # an exception: a defect of this package
)
EPISODE_OUTCOMES = ("turns",)  # a user turn was not done

# A reason's number in the metrics is its index here: append, never reorder.
_REASONS = (*OUTCOMES, *ERRORS, *EPISODE_OUTCOMES)
REASON_CODES = {reason: code for code, reason in enumerate(_REASONS)}
_OUR_FAULT = frozenset({"not_text", "ground_truth", "options", "internal"})
_REPORTED = {
    reason: (float(code), 1.0 if reason in _OUR_FAULT else 0.0) for reason, code in REASON_CODES.items()
}


def reason_of(result: Mapping[str, float]) -> str:
    """The reason of a result in words, such as `values` or `unclosed`."""
    return _REASONS[int(result["reason"])]


def outcome(
    reason: str,
    score: float = 0.0,
    calls: int = 0,
    gold_calls: int = 0,
    well_formed: bool = False,
    closed: bool = False,
    length: int = 0,
) -> dict[str, float]:
    """The result of `compute_score`, with all its keys, for a reason."""
    code, error = _REPORTED[reason]
    return {
        "score": score,
        "acc": 1.0 if reason == "right" else 0.0,
        "format": 1.0 if well_formed else 0.0,
        "closed": 1.0 if closed else 0.0,
        "num_calls": 1.0 * calls,
        "gold_calls": 1.0 * gold_calls,
        "length": 1.0 * length,
        "reason": code,
        "error": error,
    }


def overrule(result: dict[str, float], reason: str, score: float = 0.0) -> None:
    """Gives a result another reason and score; what it says of form, calls and length stays."""
    result["reason"], result["error"] = _REPORTED[reason]
    result["acc"] = 1.0 if reason == "right" else 0.0
    result["score"] = score
