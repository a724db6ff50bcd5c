"""Intervals for shares, for the difference of two models on the same tasks, for weighted sums of such
figures, and over seeds; and pass@k. Closed forms: the same verdicts always give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
        raise ValueError(f"{right} of {total} is not a share")
    if total == 0:
        return 0.0, 1.0
    return _wilson(right / total, total)


def _wilson(share: float, total: float) -> tuple[float, float]:
    square = _Z95**2 / total
    centre = share + square / 2
    half = math.sqrt(square * share * (1 - share) + square**2 / 4)
    low = 0.0 if share == 0 else (centre - half) / (1 + square)
    high = 1.0 if share == 1 else (centre + half) / (1 + square)
    return low, high


def mean_share(values: Sequence[float], attempts: int = 1) -> Difference:
    """The mean of one share a task (0 or 1, or the share of its attempts that are right), with its interval.

    Tasks are drawn at random, attempts are not: a task that is tried eight times is not eight tasks. So
    Wilson's interval is taken at the number of single verdicts that would spread as much as the tasks do,
    never fewer than the tasks and never more than all attempts. With one attempt it is `wilson`.

    Args:
        values: One a task, each in 0..1.
        attempts: How many verdicts each of them is the mean of.

    Raises:
        ValueError: if there is no task.
    """
    if not values:
        raise ValueError("a mean needs at least one task")
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.fsum((value - mean) ** 2 for value in values) / n
    effective = mean * (1 - mean) * n / spread if spread > 0 else n
    return Difference(mean, *_wilson(mean, min(max(effective, n), n * attempts)))


def paired_difference(a: Sequence[float], b: Sequence[float], attempts: int = 1) -> Difference:
    """How much more often `b` is right than `a` on the same tasks, with its 95 % interval.

    Newcombe's square-and-add interval for paired shares (Statistics in Medicine 17:2635, 1998, method 10):
    the Wilson intervals of both shares, combined with the correlation of the verdicts. Deterministic, and
    near its nominal coverage for few tasks and extreme shares too, where a bootstrap is too narrow.

    Args:
        a: Verdicts of the first model (the baseline), or shares of right attempts.
        b: Those of the second one, task by task in the same order.
        attempts: How many verdicts each value is the mean of.

    Raises:
        ValueError: if there is no task, or not the same number of both.
    """
    if not a or len(a) != len(b):
        raise ValueError(f"paired verdicts are needed, not {len(a)} and {len(b)}")
    share_a, low_a, high_a = mean_share(a, attempts)
    share_b, low_b, high_b = mean_share(b, attempts)
    correlation = _phi(a, b) if attempts == 1 else correlation_of(a, b)

    def half(first: float, second: float) -> float:
        return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))

    mean = share_b - share_a
    low = mean - half(share_b - low_b, high_a - share_a)
    high = mean + half(high_b - share_b, share_a - low_a)
    return Difference(mean, max(-1.0, low), min(1.0, high))


def weighted_sum(
    weights: Sequence[float], parts: Sequence[Difference], correlation: Callable[[int, int], float]
) -> Difference:
    """A weighted sum of estimates with its 95 % interval, from the intervals of its parts.

    The method of variance estimates recovery (Zou and Donner, Statistics in Medicine 27:1693, 2008), of which
    Newcombe's difference is the case of two parts: each side of the interval adds up the parts' own distances
    to that side as standard errors add up, `sqrt(sum_ij w_i w_j r_ij d_i d_j)`.

    Args:
        weights: Not negative.
        parts: The estimates.
        correlation: `r_ij` of the estimates number i and j; 0 where the tasks have nothing to do with each
            other. Asked for i < j only; a negative one counts as 0, which can only widen the interval.

    Returns:
        The sum and its interval.
    """

    def side(distances: list[float]) -> float:
        steps = [weight * distance for weight, distance in zip(weights, distances, strict=True)]
        square = math.fsum(step**2 for step in steps)
        for i in range(len(steps)):
            for j in range(i + 1, len(steps)):
                if steps[i] and steps[j]:
                    square += 2 * max(0.0, correlation(i, j)) * steps[i] * steps[j]
        return math.sqrt(square)

    mean = math.fsum(weight * part.mean for weight, part in zip(weights, parts, strict=True))
    low = side([part.mean - part.low for part in parts])
    return Difference(mean, mean - low, mean + side([part.high - part.mean for part in parts]))


def correlation_of(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's correlation of two lists in the same order; 0 where one of them does not vary."""
    n = len(a)
    mean_a, mean_b = math.fsum(a) / n, math.fsum(b) / n
    shared = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    square = math.fsum((x - mean_a) ** 2 for x in a) * math.fsum((y - mean_b) ** 2 for y in b)
    return shared / math.sqrt(square) if square > 0 else 0.0


def pass_at_k(right: int, samples: int, k: int) -> float:
    """The chance that at least one of `k` samples is right, without bias: `1 - C(n-c, k) / C(n, k)`.

    Source: Chen et al., Evaluating Large Language Models Trained on Code (arXiv:2107.03374), equation 1.

    Args:
        right: c, how many of the samples drawn are right.
        samples: n, how many were drawn.
        k: At most n.

    Raises:
        ValueError: unless 0 <= right <= samples and 1 <= k <= samples.
    """
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} cannot be estimated from {right} right of {samples}")
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def _phi(a: Sequence[float], b: Sequence[float]) -> float:
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
