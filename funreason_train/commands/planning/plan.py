"""`plan`: memory, time, network and disk of sft and rl, before anything is booked."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ...cluster.plan import StagePlan, document
from ...errors import Problem, UserError, refuse
from ...run.paths import RunDir
from ..display import console, print_table, say
from ..stages import stage_of
from . import show
from .record import calibrated, write

if TYPE_CHECKING:
    from omegaconf import DictConfig


def plan(config: DictConfig, run: RunDir) -> None:
    """Prints the plan of every stage of the pipeline that trains, and writes `RUN_DIR/plan/plan.json`.

    Raises:
        UserError: if a stage does not fit the machines or the run directory takes no files, after everything
            has been printed; or if the model's sizes are not known.
    """
    found = {name: cost for name in config.pipeline.stages if (cost := _cost(name, config, run))}
    plans = [calibrated(cost, config) for cost in found.values() if not isinstance(cost, str)]
    unplanned = [f"{name}: {why}" for name, why in found.items() if isinstance(why, str)]
    if not plans:
        raise UserError(
            f"there is nothing to plan{''.join(f'; {one}' for one in unplanned)}",
            where="pipeline.stages",
            fix="Include sft or rl, and name a model whose config.json is here or whose sizes are known",
        )
    if config.plan.format == "json":
        print(json.dumps(document(plans), indent=2))
        sys.stderr.writelines(f"not planned: {one}\n" for one in unplanned)
    else:
        for one in plans:
            _print(one)
        for text in unplanned:
            say(f"not planned: {text}")
    wrong: list[Problem] = []
    try:
        write(plans, run)
        if config.plan.format != "json":
            say(f"The plan for programs: {run.plan / 'plan.json'}")
    except UserError as error:
        wrong.append(Problem.of(error))
    if problems := [f"{one.stage}: {text}" for one in plans for text in show.complaints(one)]:
        wrong.append(Problem("does not fit the machines: " + "; ".join(problems)))
    refuse(wrong)


def _cost(name: str, config: DictConfig, run: RunDir) -> StagePlan | str | None:
    stage = stage_of(name)
    if not stage.nodes:
        return None
    found: StagePlan | str | None = stage.plan(config, run).cost
    return found


def _print(plan: StagePlan) -> None:
    console.rule(show.heading(plan), align="left")
    print_table(show.table(plan))
    if (table := show.times(plan)) is not None:
        print_table(table)
    say("\n".join(show.brief(plan)) + "\n")
