"""What held-out tasks say of a training: scores by step, and the models that wait or are best (files only).

`RUN_DIR/sft/held_out.jsonl` has a line a step that was played: `{"step", "accuracy", "ci95", "right",
"tasks", "seconds"}`, or `{"step", "failed": why, "seconds"}`. `RUN_DIR/sft/held_out/step-N` is the model of a
step that waits, or of the best one; the training's rotation of checkpoints touches neither.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models.best import Best, best_of, falls
from ...plain import is_number
from ...run.files import read_lines, write_text

#: Models that wait at most; a training that is that far ahead leaves out steps, but never its last one.
MOST_WAITING = 2
_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class HeldOut:
    """The record of one run.

    Attributes:
        sft: The folder of the stage.
    """

    sft: Path

    @property
    def file(self) -> Path:
        """The lines."""
        return self.sft / "held_out.jsonl"

    @property
    def folder(self) -> Path:
        """Models, and the run directory of their evaluations."""
        return self.sft / "held_out"

    def model(self, step: int) -> Path:
        """The model of a step."""
        return self.folder / f"step-{step}"

    def rows(self) -> dict[int, dict[str, Any]]:
        """Step -> its line, in the order of steps; a damaged line is passed over."""
        rows = {
            int(row["step"]): row
            for row in read_lines(self.file)
            if isinstance(row, dict) and isinstance(row.get("step"), int)
        }
        return dict(sorted(rows.items()))

    def scores(self) -> dict[int, float]:
        """Step -> accuracy, of the steps that could be played."""
        rows = self.rows().items()
        return {step: float(row["accuracy"]) for step, row in rows if is_number(row.get("accuracy"))}

    def failed(self) -> dict[int, str]:
        """Step -> why it could not be played."""
        return {step: str(row["failed"]) for step, row in self.rows().items() if "failed" in row}

    def models(self) -> set[int]:
        """The steps whose model is here."""
        names = (_NAME.fullmatch(path.name) for path in self.folder.glob("step-*"))
        return {int(match[1]) for match in names if match}

    def waiting(self) -> list[int]:
        """The steps that are still to be played, in order."""
        return sorted(self.models() - self.rows().keys())

    def wants(self, step: int, every: int, last: bool) -> bool:
        """Whether a checkpoint is to be handed over: each step is played once.

        Args:
            step: Of the checkpoint.
            every: The steps between two.
            last: Whether the training ends with it.
        """
        if (step % every and not last) or step in self.rows() or step in self.models():
            return False
        return last or len(self.waiting()) < MOST_WAITING

    def best(self) -> Best | None:
        """The best step whose model is here; None if none is."""
        return best_of(self.scores(), self.models())

    def fell(self, patience: int | None) -> bool:
        """Whether the last `patience` scores are all below the best one before them."""
        return patience is not None and falls(self.scores(), patience)

    def note(self, step: int, figures: Mapping[str, Any]) -> None:
        """Adds a line, then lets go of every played model that is not the best."""
        rows = {**self.rows(), step: {"step": step, **figures}}
        write_text(self.file, "".join(json.dumps(rows[key]) + "\n" for key in sorted(rows)))
        self.settle()

    def settle(self) -> None:
        """Removes the models of played steps but the best one."""
        best = self.best()
        for step in self.models() & self.rows().keys():
            if best is None or step != best.step:
                shutil.rmtree(self.model(step), ignore_errors=True)

    def clear(self) -> None:
        """Does what a kill left undone: lets go of played models, and of folders that were being made."""
        self.settle()
        for path in self.folder.glob(".step-*"):
            shutil.rmtree(path, ignore_errors=True)

    def result(self, kept: str) -> dict[str, Any]:
        """What the stage's result says of it.

        Args:
            kept: `best` or `last`, which the stage's model is.

        Returns:
            `curve` (lines without their times), `best` (`step`, `accuracy` and `model`, or None), `failed`
            (step to reason) and `kept`.
        """
        best = self.best()
        names = ("step", "accuracy", "ci95", "right", "tasks")
        return {
            "curve": [
                {name: row.get(name) for name in names} for row in self.rows().values() if "failed" not in row
            ],
            "best": {"step": best.step, "accuracy": best.score, "model": str(self.model(best.step))}
            if best
            else None,
            "failed": {str(step): why for step, why in self.failed().items()},
            "kept": kept,
        }

    def words(self) -> str:
        """The same in a few words; empty if nothing was played."""
        rows, scores, best = self.rows(), self.scores(), self.best()
        parts = []
        if best is not None:
            last = max(scores)
            parts.append(f"held-out best {best.score:.1%} at step {best.step}, last {scores[last]:.1%}")
        if failed := sum("failed" in row for row in rows.values()):
            parts.append(f"{failed} of {len(rows)} held-out evaluations failed")
        return "; ".join(parts)
