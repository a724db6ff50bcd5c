"""The figures that tell whether a step taught anything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from funreason_train.rl.train import health


def test_groups_whose_samples_score_alike_carry_no_signal() -> None:
    """trl#2884, #3857."""
    uids = ["a", "a", "b", "b", "c", "c", "d", "d"]
    scores = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.25]
    figures = health.summary(uids, scores, [{"closed": 1.0, "score": score} for score in scores])
    assert figures["health/groups_without_signal"] == 0.5
    assert figures["health/score"] == pytest.approx(sum(scores) / 8)
    assert figures["reward/closed"] == 1.0
    assert "reward/score" not in figures


@given(
    some.dictionaries(
        some.text(max_size=3), some.lists(some.sampled_from([0.0, 1.0]), min_size=1, max_size=8)
    )
)
def test_the_share_is_a_share(grouped: Any) -> None:
    assert 0.0 <= health.without_signal(grouped) <= 1.0


def test_an_empty_step_is_no_error() -> None:
    assert health.summary([], [], [])["health/groups_without_signal"] == 0.0
