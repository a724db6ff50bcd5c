"""Intervals against published values, against another method, and by their coverage."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.pages.statistics import (
    mean_over_seeds,
    mean_share,
    paired_difference,
    pass_at_k,
    weighted_sum,
    wilson,
)


def verdicts(both: Any, only_a: Any, only_b: Any, neither: Any) -> Any:
    return (
        [True] * both + [True] * only_a + [False] * only_b + [False] * neither,
        [True] * both + [False] * only_a + [True] * only_b + [False] * neither,
    )


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(right: int, total: int, low: float, high: float) -> None:
    assert wilson(right, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_share_and_mirrors(right: int, wrong: int) -> None:
    low, high = wilson(right, right + wrong)
    mirrored = wilson(wrong, right + wrong)
    assert 0 <= low < high <= 1
    assert low <= (right / (right + wrong) if right + wrong else 0.5) <= high
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_wilson_refuses_what_is_no_share() -> None:
    for right, total in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="not a share"):
            wilson(right, total)


def test_paired_difference_gives_the_published_interval() -> None:
    # Newcombe, Statistics in Medicine 17:2635 (1998), table III, method 10, cells 36, 12, 2, 0.
    b, a = verdicts(36, 12, 2, 0)
    assert paired_difference(a, b) == pytest.approx((0.20, 0.0569, 0.3404), abs=5e-5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_paired_difference_is_antisymmetric_ignores_the_order_and_holds_its_mean(pairs: list[Any]) -> None:
    a, b = zip(*pairs, strict=True)
    forward, backward = paired_difference(a, b), paired_difference(b, a)
    assert forward == pytest.approx((-backward.mean, -backward.high, -backward.low))
    assert -1 <= forward.low <= forward.mean <= forward.high <= 1
    shuffled = sorted(pairs)
    a, b = zip(*shuffled, strict=True)
    assert paired_difference(a, b) == pytest.approx(forward)


def tango(both: Any, only_a: Any, only_b: Any, neither: Any) -> Any:
    """Tango's score interval for b minus a, found by bisection: another method altogether."""
    n = both + only_a + only_b + neither

    def distance(delta: Any) -> Any:
        b, c = only_b, only_a
        first = 2 * n
        second = -b - c + (2 * n - b + c) * delta
        third = -c * delta * (1 - delta)
        p = (math.sqrt(max(0.0, second**2 - 4 * first * third)) - second) / (2 * first)
        spread = math.sqrt(max(1e-300, n * (2 * p + delta * (1 - delta))))
        return (b - c - n * delta) / spread

    def solve(target: Any, low: Any, high: Any) -> Any:
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if distance(middle) > target else (low, middle)
        return (low + high) / 2

    mean = (only_b - only_a) / n
    return solve(1.96, -1, mean), solve(-1.96, mean, 1)


@pytest.mark.parametrize("cells", [(150, 20, 70, 160), (40, 10, 25, 25), (0, 0, 180, 220), (230, 3, 90, 77)])
def test_paired_difference_agrees_with_the_score_interval(cells: Any) -> None:
    found = paired_difference(*verdicts(*cells))
    low, high = tango(*cells)
    assert found.low == pytest.approx(low, abs=0.008)
    assert found.high == pytest.approx(high, abs=0.008)


@pytest.mark.parametrize("shares", [(0.35, 0.05, 0.20, 0.40), (0.01, 0.01, 0.40, 0.58), (0.6, 0.1, 0.1, 0.2)])
def test_paired_difference_covers_the_truth_about_95_times_in_100(shares: Any) -> None:
    rng, draws, tasks = random.Random(1), 1500, 100
    truth, hits = shares[2] - shares[1], 0
    for _ in range(draws):
        kinds = rng.choices(range(4), shares, k=tasks)
        low, high = paired_difference(*verdicts(*(kinds.count(kind) for kind in range(4))))[1:]
        hits += low <= truth <= high
    assert 0.935 <= hits / draws <= 0.985


def test_paired_difference_needs_pairs() -> None:
    for a, b in (([], []), ([True], [True, False])):
        with pytest.raises(ValueError, match="paired"):
            paired_difference(a, b)


def test_mean_over_seeds_gives_students_interval() -> None:
    # t(2) = 4.302653, t(1) = 12.706205
    assert mean_over_seeds([1, 2, 3]) == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert mean_over_seeds([0.5, 0.7]).high == pytest.approx(0.6 + 12.706205 * 0.1, rel=1e-5)
    assert mean_over_seeds([0.5] * 5) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="two"):
        mean_over_seeds([0.5])


def test_one_attempt_a_task_is_wilson_and_many_are_no_more_tasks() -> None:
    values = [1.0] * 30 + [0.0] * 70
    assert mean_share(values)[1:] == pytest.approx(wilson(30, 100))
    same = mean_share(values, attempts=8)  # eight attempts that always agree tell nothing new
    assert same[1:] == pytest.approx(wilson(30, 100))
    steadier = mean_share([0.25, 0.35] * 50, attempts=8)
    assert steadier.mean == pytest.approx(0.3)
    assert wilson(240, 800)[0] - 1e-9 <= steadier.low and steadier.low > same.low
    with pytest.raises(ValueError, match="at least one task"):
        mean_share([])


def test_a_weighted_sum_of_two_is_the_difference_s_rule() -> None:
    parts = [mean_share([1.0] * 40 + [0.0] * 60), mean_share([1.0] * 20 + [0.0] * 30)]
    alone = weighted_sum([1.0, 0.0], parts, lambda i, j: 1.0)
    assert alone == pytest.approx(parts[0])
    half = weighted_sum([0.5, 0.5], parts, lambda i, j: 0.0)
    low = 0.4 - math.sqrt((0.5 * (0.4 - parts[0].low)) ** 2 + (0.5 * (0.4 - parts[1].low)) ** 2)
    assert (half.mean, half.low) == pytest.approx((0.4, low))
    assert weighted_sum([0.5, 0.5], parts, lambda i, j: -0.9) == pytest.approx(half)
    assert weighted_sum([0.5, 0.5], parts, lambda i, j: 0.5).low < half.low


@pytest.mark.parametrize("samples", [1, 3, 6])
def test_pass_at_k_is_the_share_of_all_draws_with_a_right_one(samples: int) -> None:
    from itertools import combinations

    for right in range(samples + 1):
        verdicts = [True] * right + [False] * (samples - right)
        for k in range(1, samples + 1):
            draws = list(combinations(verdicts, k))
            assert pass_at_k(right, samples, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    for wrong in ((-1, 3, 1), (4, 3, 1), (1, 3, 0), (1, 3, 4)):
        with pytest.raises(ValueError):
            pass_at_k(*wrong)


def test_shares_of_attempts_are_compared_as_pairs() -> None:
    first, second = [0.0, 0.25, 0.5, 0.75] * 25, [0.0, 0.25, 1.0, 1.0] * 25
    found = paired_difference(first, second, attempts=4)
    assert found.mean == pytest.approx(0.1875)
    apart = paired_difference(sorted(first), sorted(second, reverse=True), attempts=4)
    assert 0.1 < found.low < 0.1875 < found.high < 0.3
    assert apart.high - apart.low > 1.5 * (found.high - found.low)  # pairs that go together are sharper
