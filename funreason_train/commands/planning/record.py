"""The plans of a run's stages, worked out from its settings and kept in `RUN_DIR/plan/plan.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...cluster.plan import StagePlan, corrected, document, read_plan
from ...errors import Problem, UserError
from ...run.files import unwritable, write_json
from ...run.paths import RunDir
from ...run.stage import Stage
from .show import certain, complaints

if TYPE_CHECKING:
    from omegaconf import DictConfig


def calibrated(plan: StagePlan, config: DictConfig) -> StagePlan:
    """The plan corrected by the run that `plan.calibrate` names, if it names one.

    Raises:
        UserError: if that run says nothing of this stage.
    """
    if not config.plan.calibrate:
        return plan
    place = Path(str(config.plan.calibrate)).expanduser()
    if not place.is_dir():
        raise UserError(
            "there is no such folder", where=f"plan.calibrate={place}", fix="Name a run directory"
        )
    return corrected(plan, RunDir.at(place))


def write(plans: Sequence[StagePlan], run: RunDir) -> None:
    """Adds plans to the file; those of other stages stay.

    Raises:
        UserError: if the run directory cannot be written.
    """
    try:
        before = dict(read_plan(run))
    except UserError:  # of another version: it is written anew
        before = {}
    new = document(plans)
    try:
        write_json(run.plan / "plan.json", {**new, "stages": {**before, **new["stages"]}})
    except OSError as error:
        raise unwritable(run.root, error) from None


def too_large(plan: StagePlan) -> list[Problem]:
    """What is refused of a plan; what may yet fit, given how far plans are off, is only told."""
    return [Problem(text, plan.stage) for text in complaints(plan)] if certain(plan) else []


def beyond_the_gpus(stage: Stage, config: DictConfig, run: RunDir) -> list[Problem]:
    """Why a stage certainly does not fit the GPUs; nothing without GPUs or where no plan can be made."""
    if config.cluster.device != "cuda" or not stage.nodes:
        return []
    try:
        cost = stage.plan(config, run).cost
        return too_large(calibrated(cost, config)) if isinstance(cost, StagePlan) else []
    except (UserError, TypeError, ValueError, KeyError):  # the stage's own checks tell it
        return []


def note(stage: Stage, config: DictConfig, run: RunDir) -> None:
    """Writes the plan of a stage that is about to run, for the report; a plan that fails stops nothing."""
    try:
        if isinstance(cost := stage.plan(config, run).cost, StagePlan):
            write([calibrated(cost, config)], run)
    except (UserError, OSError, TypeError, ValueError, KeyError):
        return
