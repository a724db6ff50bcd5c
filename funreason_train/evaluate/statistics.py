"""Intervals for shares, for the difference of two models on the same tasks, and over seeds: closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_Z95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution


class Difference(NamedTuple):
    """An estimate with its 95 % interval."""

    mean: float
    low: float
    high: float


def wilson(right: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for the share `right / total`, without continuity correction.

    Unlike the textbook interval it stays inside 0..1 and keeps its width at shares of 0 and 1.

    Raises:
        ValueError: unless 0 <= right <= total.
    """
    if not 0 <= right <= total:
        raise ValueError(f"{right} of {total} is no share")
    if total == 0:
        return 0.0, 1.0
    share, square = right / total, _Z95**2 / total
    centre = share + square / 2
    half = math.sqrt(square * share * (1 - share) + square**2 / 4)
    low = 0.0 if right == 0 else (centre - half) / (1 + square)
    high = 1.0 if right == total else (centre + half) / (1 + square)
    return low, high


def paired_difference(a: Sequence[bool], b: Sequence[bool]) -> Difference:
    """How much more often `b` is right than `a` on the same tasks, with its 95 % interval.

    Newcombe's square-and-add interval for paired shares (Statistics in Medicine 17:2635, 1998, method 10):
    the Wilson intervals of both shares, combined with the correlation of the verdicts. Deterministic, and
    near its nominal coverage for few tasks and extreme shares too, where a bootstrap is too narrow.

    Args:
        a: Verdicts of the first model (the baseline).
        b: Verdicts of the second one, task by task in the same order.

    Raises:
        ValueError: if there is no task, or not the same number of both.
    """
    if not a or len(a) != len(b):
        raise ValueError(f"paired verdicts are needed, not {len(a)} and {len(b)}")
    n = len(a)
    right_a, right_b = sum(map(bool, a)), sum(map(bool, b))
    share_a, share_b = right_a / n, right_b / n
    low_a, high_a = wilson(right_a, n)
    low_b, high_b = wilson(right_b, n)
    correlation = _correlation(a, b)

    def half(first: float, second: float) -> float:
        return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))

    mean = share_b - share_a
    low = mean - half(share_b - low_b, high_a - share_a)
    high = mean + half(high_b - share_b, share_a - low_a)
    return Difference(mean, max(-1.0, low), min(1.0, high))


def _correlation(a: Sequence[bool], b: Sequence[bool]) -> float:
    """The phi coefficient of two lists of verdicts, corrected for continuity as in Newcombe's method 10."""
    n = len(a)
    both = sum(bool(x and y) for x, y in zip(a, b, strict=True))
    only_a, only_b = sum(map(bool, a)) - both, sum(map(bool, b)) - both
    neither = n - both - only_a - only_b
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    excess = float(both * neither - only_a * only_b)
    if excess > 0:
        excess = max(excess - n / 2, 0)
    return excess / math.sqrt(margins)


def mean_over_seeds(values: Sequence[float]) -> Difference:
    """The mean of one figure over independent runs, with Student's 95 % interval.

    Raises:
        ValueError: with fewer than two values, which say nothing about the spread.
    """
    n = len(values)
    if n < 2:
        raise ValueError("an interval over seeds needs at least two runs")
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = _student_quantile(n - 1) * deviation / math.sqrt(n)
    return Difference(mean, mean - half, mean + half)


def _student_quantile(degrees: int) -> float:
    """The 97.5 % point of Student's distribution, by bisection on Simpson's rule."""
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)

    def mass(bound: float) -> float:  # between 0 and `bound`
        steps = 400
        width = bound / steps
        weights = (1 if k in (0, steps) else 4 if k % 2 else 2 for k in range(steps + 1))
        heights = ((1 + (k * width) ** 2 / degrees) ** (-(degrees + 1) / 2) for k in range(steps + 1))
        return scale * width / 3 * math.fsum(w * h for w, h in zip(weights, heights, strict=True))

    low, high = _Z95, 13.0  # one degree of freedom: 12.706
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if mass(middle) < 0.475 else (low, middle)
    return (low + high) / 2
