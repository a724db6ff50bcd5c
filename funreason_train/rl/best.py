"""The validation scores of a run, kept beside its checkpoints: which one is best, and when to stop.

`validation.json` in the folder of checkpoints holds the mean score of each validated step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..run.files import write_json

SCORES = "validation.json"
_CORE, _MEAN = "val-core/", "/mean@"


class Best(NamedTuple):
    """The best of the validated checkpoints.

    Attributes:
        step: Its step.
        score: Its mean validation score.
    """

    step: int
    score: float


def score_of(metrics: Mapping[str, float]) -> float | None:
    """The mean validation score among verl's metrics; None if there is none.

    verl names it `val-core/DATA_SOURCE/VARIABLE/mean@N` (verl/trainer/ppo/v1/trainer_base.py,
    `_val_metrics_update`); several sources count alike.
    """
    found = [value for name, value in metrics.items() if name.startswith(_CORE) and _MEAN in name]
    return sum(found) / len(found) if found else None


def scores(folder: Path) -> dict[int, float]:
    """Step -> score, in the order of steps; empty where nothing was validated or the file cannot be read."""
    try:
        held = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        return dict(sorted((int(step), float(score)) for step, score in held["scores"].items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def note(folder: Path, step: int, score: float) -> dict[int, float]:
    """Adds a step's score; those of later steps, which a run is about to do again, go.

    Returns:
        All scores, in the order of steps.
    """
    held = {other: value for other, value in scores(folder).items() if other < step} | {step: score}
    write_json(folder / SCORES, {"scores": {str(key): value for key, value in held.items()}})
    return held


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
