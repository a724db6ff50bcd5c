"""Who is started again after a failure, how often and when."""

from __future__ import annotations

import pytest

from funreason_train.commands.supervise.failures import kinds
from funreason_train.commands.supervise.failures.judge import Verdict
from funreason_train.commands.supervise.retry import Limits, Patience

LIMITS = Limits(retries=3, wait_seconds=30, most_wait_seconds=100)


def verdict(kind: kinds.Kind, why: str = "something at step 12") -> Verdict:
    return Verdict(kind, None, why)


def waits(kind: kinds.Kind, *reached: int, words: str = "lost {}") -> list[float | None]:
    patience = Patience(LIMITS)
    return [patience.after(verdict(kind, words.format(at)), step).wait for at, step in enumerate(reached)]


@pytest.mark.parametrize("kind", [kinds.DATA, kinds.REWARD, kinds.DISK, kinds.CONFIGURATION])
def test_what_would_fail_again_stops_at_once(kind: kinds.Kind) -> None:
    decision = Patience(LIMITS).after(verdict(kind), 40)
    assert decision.wait is None and kind.name in decision.why


@pytest.mark.parametrize("kind", [kinds.NETWORK, kinds.NODE_LOST, kinds.ENVIRONMENT, kinds.HANG])
def test_what_can_pass_is_tried_with_longer_waits_up_to_the_limit(kind: kinds.Kind) -> None:
    assert waits(kind, 5, 5, 5, 5) == [30, 60, 100, None]


def test_progress_sets_the_count_back() -> None:
    assert waits(kinds.NETWORK, 5, 5, 5, 9, 9, 9, 9) == [30, 60, 100, 30, 60, 100, None]


@pytest.mark.parametrize("kind", [kinds.MEMORY, kinds.DEVICE, kinds.UNKNOWN])
def test_what_may_come_again_is_tried_once(kind: kinds.Kind) -> None:
    assert waits(kind, 5, 5) == [30, None]
    assert waits(kind, 5, 7, 9) == [30, 30, 30], "as long as there is progress"


def test_the_same_words_again_without_progress_are_told() -> None:
    patience = Patience(LIMITS)
    patience.after(verdict(kinds.UNKNOWN, "KeyError at 0x7f01"), 0)
    assert "the same way twice" in patience.after(verdict(kinds.UNKNOWN, "KeyError at 0x7faa"), 0).why


def test_no_retries_means_none() -> None:
    assert Patience(Limits(0, 1, 1)).after(verdict(kinds.NETWORK), 0).wait is None
