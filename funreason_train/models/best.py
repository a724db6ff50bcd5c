"""Which of several models of one training is best, and whether it has begun to fall (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Best(NamedTuple):
    """The best of the checkpoints that have a score.

    Attributes:
        step: Its step.
        score: Its score.
    """

    step: int
    score: float


def best_of(held: Mapping[int, float], among: set[int]) -> Best | None:
    """The step with the highest score, the earliest of equal ones.

    Args:
        held: Step -> score.
        among: The steps that count.
    """
    found = [Best(step, score) for step, score in sorted(held.items()) if step in among]
    return max(found, key=lambda one: (one.score, -one.step), default=None)


def falls(held: Mapping[int, float], patience: int) -> bool:
    """Whether the last `patience` scores are all below the best one before them.

    Args:
        held: Step -> score.
        patience: How many.
    """
    values = [score for _, score in sorted(held.items())]
    earlier, last = values[:-patience], values[-patience:]
    return bool(earlier) and max(last) < max(earlier)
