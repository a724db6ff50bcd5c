"""Searches over a plan: the largest value that fits, and the settings with which it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from .result import Advice

Job = TypeVar("Job")


def largest_fitting(fits: Callable[[int], bool], most: int = 1 << 24) -> int:
    """The largest whole number from 1 to `most` for which `fits` holds; 0 if it does not hold for 1.

    Args:
        fits: Holds up to some number and not beyond.
        most: Where to stop.
    """
    if not fits(1):
        return 0
    low, high = 1, 2
    while high <= most and fits(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def settings_that_fit(
    changes: Iterable[tuple[str, Job]], size: Callable[[Job], float], usable: float, now: float
) -> tuple[Advice, ...]:
    """The changes that are enough by themselves; if none is, the two that come nearest.

    Args:
        changes: Setting, and the job with it.
        size: Bytes that a job takes.
        usable: Bytes that there are.
        now: Bytes without a change; what saves less than a hundredth of them is no advice.
    """
    told = [one for setting, job in changes if (one := Advice(setting, size(job))).bytes < 0.99 * now]
    enough = tuple(one for one in told if one.bytes <= usable)
    return enough or tuple(sorted(told, key=lambda one: one.bytes)[:2])
