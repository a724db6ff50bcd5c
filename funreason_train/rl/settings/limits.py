"""Limits on a run's health: which figures of the last steps call for a warning or an end (pure functions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A figure that can have a limit.

    Attributes:
        metric: Its name in `rl/metrics.jsonl`.
        says: What it is, in words.
        least: The limit is the least that is well, instead of the most.
    """

    metric: str
    says: str
    least: bool = False


FIGURES = {
    "groups_without_signal": Figure(
        "health/groups_without_signal", "the share of groups with identical rewards (no gradient)"
    ),
    "reward_errors": Figure("reward/error", "the share of samples that the reward could not score"),
    "environment_faults": Figure(
        "health/environment_faults", "the share of episodes whose environment itself failed"
    ),
    "unclosed": Figure("reward/unclosed", "the share of answers without </think>"),
    "over_long": Figure("reward/cut", "the share of answers cut off at rl.max_response_tokens"),
    "entropy": Figure("health/entropy", "the entropy a token (nats)", least=True),
    "rollout_difference": Figure(
        "health/rollout_difference",
        "the difference between the rollout engine's log-probabilities and the actor's (nats a token)",
    ),
}


def crossed(
    lines: Sequence[Mapping[str, Any]], limits: Mapping[str, float | None], patience: int
) -> list[str]:
    """The figures that were beyond their limit in each of the last `patience` steps, one sentence each.

    Args:
        lines: The metrics of the steps so far, oldest first. A step that lacks a figure (not every mode
            computes all) says nothing about it.
        limits: Figure to limit; null: none.
        patience: Steps in a row.
    """
    last = lines[-patience:]
    found = []
    for name, limit in limits.items():
        figure = FIGURES[name]
        values = [float(line[figure.metric]) for line in last if figure.metric in line]
        if limit is None or len(values) < patience:
            continue
        if all(value < limit if figure.least else value > limit for value in values):
            side = "below" if figure.least else "above"
            steps = "in this step" if patience == 1 else f"in each of the last {patience} steps"
            found.append(f"{figure.says} is {values[-1]:.3g}, {side} {limit:g} {steps} ({name})")
    return found
