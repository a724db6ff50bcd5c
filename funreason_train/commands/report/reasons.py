"""What the reward's reasons mean, in a few words each."""

from __future__ import annotations

from collections.abc import Iterable

from ...reward import REASON_CODES

_MEANINGS = {
    "right": "as the gold answer",
    "count": "another number of calls",
    "tools": "another tool",
    "arguments": "other arguments than expected",
    "values": "other values than expected",
    "order": "the calls in another order",
    "text_for_calls": "words where calls were expected",
    "calls_for_text": "calls where words were expected",
    "empty_thought": "nothing was thought",
    "over_long": "cut off at the longest length",
    "turns": "a user turn was not done",
    "unclosed": "no </think>",
    "repeated_think": "more than one thought",
    "not_text": "not a text: a fault of the rollouts",
    "ground_truth": "the row of the data cannot be scored",
    "options": "the reward is configured wrongly",
    "internal": "a defect of the reward",
}


def meanings(reasons: Iterable[str]) -> dict[str, str]:
    """The meaning of each reason that is one of this project's reward."""
    ours = (reason for reason in reasons if reason in REASON_CODES)
    return {reason: _MEANINGS.get(reason, "the answer is malformed") for reason in ours}
