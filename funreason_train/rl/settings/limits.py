"""Limits on a run's health: which figures of the last steps call for a warning or an end (pure functions)."""

from __future__ import annotations

import difflib
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
    "groups_without_signal": Figure("health/groups_without_signal", "the share of groups without signal"),
    "reward_errors": Figure("reward/error", "the share of samples that the reward could not score"),
    "unclosed": Figure("reward/unclosed", "the share of answers without </think>"),
    "over_long": Figure("reward/cut", "the share of answers cut off at rl.max_response_tokens"),
    "entropy": Figure("health/entropy", "the entropy a token (nats)", least=True),
    "rollout_difference": Figure(
        "health/rollout_difference",
        "the difference between the rollout engine's log-probabilities and the actor's (nats a token)",
    ),
}


def problems(health: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings under `rl.health`, one sentence each."""
    found = []
    patience = health["patience"]
    if type(patience) is not int or patience < 1:
        found.append(f"rl.health.patience={patience}: a whole number of steps from 1 on is needed")
    for kind in ("warn", "stop"):
        for name, limit in health[kind].items():
            if name not in FIGURES:
                near = difflib.get_close_matches(str(name), FIGURES, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIGURES)}"
                found.append(f"rl.health.{kind}.{name}: there is no such figure; {hint}")
            elif limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
                found.append(f"rl.health.{kind}.{name}={limit}: a limit is a number, or null for none")
    return found


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
