"""A `scores.json` and where it lies: whose it is, and whether the run's record is of this very evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...plain import is_finite
from ...run.files import MISSHAPEN, read_json

_MODELS = "eval.models."
_FIX = "Name a scores.json as eval wrote it, in RUN_DIR/eval/MODEL"


@dataclass(frozen=True)
class Score:
    """A score of a model.

    Attributes:
        path: The `scores.json`.
        run: The run that it lies in.
        model: The name of the model.
        benchmark: What it did; `heldout` for the files that lie in the model's own folder.
        figures: Its plain figures.
        place: The folder of the model when it was scored; empty where the file does not say.
    """

    path: Path
    run: Path
    model: str
    benchmark: str
    figures: Mapping[str, float]
    place: str

    @classmethod
    def of(cls, path: Path) -> Score:
        """Reads a score.

        Args:
            path: A `scores.json` below `RUN_DIR/eval`, or a link to one.

        Raises:
            UserError: if it is none, or lies in no run.
        """
        found = _read(path)
        figures = {
            str(key): float(value) for key, value in found.items() if is_finite(value) and key != "format"
        }
        run, path = _run_of(path)
        model, *rest = path.relative_to(run / "eval").parts[:-1] or [path.parent.name]
        about = found.get("model")
        place = about.get("path") if isinstance(about, Mapping) else None
        return cls(path, run, model, rest[0] if rest else "heldout", figures, str(place or ""))

    def other_evaluation(self, record: Mapping[str, Any]) -> str:
        """Why the record of the stage is not that of this score's evaluation, as a sentence; empty if it is.

        Args:
            record: Of the stage `eval`: that of the latest evaluation, whichever it was.
        """
        settings = record.get("settings", {})
        models = [key.removeprefix(_MODELS) for key in settings if key.startswith(_MODELS)]
        if models and self.model not in models:
            return f"the run's latest evaluation was of {', '.join(models)} and not of {self.model}"
        benchmark = settings.get("eval.benchmark", self.benchmark)
        if benchmark != self.benchmark:
            return f"the run's latest evaluation was of {benchmark} and not of {self.benchmark}"
        noted = _noted(record, self.model)
        here = self.figures.get("accuracy")
        if noted is not None and here is not None and abs(noted - here) > 1e-9:
            return f"{self.path} says accuracy {here:g}, and {noted:g} was recorded"
        return ""


def _noted(record: Mapping[str, Any], model: str) -> float | None:
    """The accuracy that the record of an evaluation has of a model."""
    models = (record.get("result") or {}).get("models")
    one = models.get(model) if isinstance(models, Mapping) else None
    value = one.get("accuracy") if isinstance(one, Mapping) else None
    return float(value) if is_finite(value) and value is not None else None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = read_json(path)
        if not isinstance(found, Mapping):
            raise TypeError("it holds no object")
    except FileNotFoundError:
        raise UserError("there is no such file", where=str(path), fix=_FIX) from None
    except OSError as error:
        raise UserError(f"is not a scores.json ({error.strerror})", where=str(path), fix=_FIX) from None
    except MISSHAPEN as error:
        raise UserError(f"is not a scores.json ({error})", where=str(path), fix=_FIX) from None
    return found


def _run_of(score: Path) -> tuple[Path, Path]:
    """The run that a score lies in, RUN_DIR/eval/MODEL[/BENCHMARK]/scores.json, and its path there."""
    for path in map(Path, (os.path.abspath(score), os.path.realpath(score))):
        for folder in path.parents:
            if folder.name == "eval" and (folder.parent / "manifest.json").is_file():
                return folder.parent, path
    raise UserError(
        "lies in no run, so nothing is known of where it comes from",
        where=str(score),
        fix=_FIX,
    )
