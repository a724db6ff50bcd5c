"""The validation scores of a run, kept beside its checkpoints: which one is best, and when to stop.

`validation.json` in the folder of checkpoints holds the mean score of each validated step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..run.files import write_json

SCORES = "validation.json"
_CORE, _MEAN = "val-core/", "/mean@"


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
