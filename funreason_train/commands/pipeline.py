"""Runs stages in order and says what happened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..cluster import Profile, gpu_problem
from ..errors import Problem, refuse
from ..pages.table import Table
from ..run.attempts import Attempt
from ..run.lock import locked
from ..run.paths import RunDir
from ..run.stage import Stage
from .display import console, print_table, say
from .execution.execute import execute
from .execution.restart import restarted
from .planning.record import beyond_the_gpus, note
from .preflight.hub import settle_models
from .preflight.look import before
from .stages import stage_of
from .supervise.supervise import supervised

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_stages(
    names: list[str], config: DictConfig, run: RunDir, summarise: bool = False, command: Sequence[str] = ()
) -> None:
    """Runs the named stages; a finished one is skipped, an interrupted one resumes.

    Args:
        names: Which, in order.
        config: Resolved.
        run: The run directory.
        summarise: Write the run's summary and report at the end.
        command: The command's words, for the record.

    Raises:
        UserError: if anything is found that the user has to fix, before a framework starts.
        StageFailed: if a stage crashed.
    """
    stages = [stage_of(name) for name in names]
    with locked(run) as lock, Attempt(run, command) as attempt:
        with restarted(config, run, stages) as told:
            refuse(_everything(stages, config, run))
            settle_models(config, run, [stage.name for stage in stages])
            if config.doctor.preflight and any(stage.nodes for stage in stages):
                before(config, run, [stage.name for stage in stages])
        if told:
            say(told)
        for number, stage in enumerate(stages, 1):
            if number > 1:  # what the stages before have made can be checked only now
                refuse(stage.problems(config, run))
            place = f"[{number}/{len(stages)}] " if len(stages) > 1 else ""
            if stage.nodes:
                note(stage, config, run)
            result = supervised(stage, config, run, partial(execute, stage, config, run, lock, attempt))
            done = "already done, skipped" if result["skipped"] else "done"
            console.print(f"{place}{stage.title}: {done}{_headline(result)}", highlight=False, soft_wrap=True)
            in_summary = stage.name == "eval" and summarise and config.eval.benchmark == "heldout"
            if not in_summary and not (result["skipped"] and stage.name != "eval"):
                _show_table(result)
        if summarise:
            from .summary import summarise as write_summary

            write_summary(config, run)


def _everything(stages: Sequence[Stage], config: DictConfig, run: RunDir) -> list[Problem]:
    """The problems of all stages that show before the first one starts."""
    device = gpu_problem(Profile.of(config.cluster)) if any(stage.nodes for stage in stages) else None
    found = [problem for stage in stages for problem in stage.problems(config, run)]
    if config.doctor.preflight and not found:
        found = [problem for stage in stages for problem in beyond_the_gpus(stage, config, run)]
    return [*([Problem(device)] if device else []), *found]


def _show_table(result: dict) -> None:
    """Prints the stage's tables, if it made any, and where its failures can be read."""
    for table in result.get("shown", ()):
        print_table(Table.of_json(table))
    if result.get("table"):
        console.print(f"Table: {result['table']}", highlight=False, soft_wrap=True)
    if result.get("failures"):
        console.print(f"Failures: {result['failures']}", highlight=False, soft_wrap=True)


def _headline(result: dict) -> str:
    """The stage's own closing words, if it has any."""
    return f" ({result['headline']})" if result.get("headline") else ""
