"""Runs stages in order and says what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..cluster import Profile, gpu_problem
from ..errors import UserError
from ..run.paths import RunDir
from .display import console, print_markdown
from .stages import STAGES, check, execute, locked, move_aside

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_stages(names: list[str], config: DictConfig, run: RunDir, summarise: bool = False) -> None:
    """Runs the named stages; a finished one is skipped, an interrupted one resumes.

    Raises:
        UserError: if anything is found that a user must mend, before a framework starts.
        StageFailed: if a stage crashed.
    """
    if strangers := [name for name in names if name not in STAGES]:
        raise UserError(f"there is no stage '{strangers[0]}'", mend=f"The stages are {', '.join(STAGES)}")
    with locked(run) as lock:
        if config.restart:
            if config.restart not in STAGES:
                raise UserError(f"there is no stage '{config.restart}'", where="restart")
            move_aside(run, config.restart)
        refuse(_everything(names, config, run))
        for number, name in enumerate(names, 1):
            stage = STAGES[name]
            if number > 1:  # what the stages before have made can be checked only now
                refuse(check(stage, config, run))
            place = f"[{number}/{len(names)}] " if len(names) > 1 else ""
            result = execute(stage, config, run, lock)
            done = "already done, skipped" if result["skipped"] else "done"
            console.print(f"{place}{stage.title}: {done}{_headline(result)}", highlight=False, soft_wrap=True)
            if not (summarise and config.eval.benchmark == "heldout"):  # which the summary shows
                _show_table(result)
        if summarise:
            from .summary import summarise as write_summary

            write_summary(config, run)


def _everything(names: list[str], config: DictConfig, run: RunDir) -> list[str]:
    """The problems of all stages that show before the first one starts."""
    device = gpu_problem(Profile.of(config.cluster)) if {"sft", "rl"} & set(names) else None
    found = [problem for name in names for problem in check(STAGES[name], config, run)]
    return [*([device] if device else []), *dict.fromkeys(found)]


def refuse(problems: list[str]) -> None:
    """Raises all problems as one error, or returns if there are none."""
    if problems:
        raise UserError(problems[0] if len(problems) == 1 else "\n  - ".join(["several things", *problems]))


def _show_table(result: dict) -> None:
    """Prints the stage's table, if it made one, and where its failures can be read."""
    if result.get("table") and Path(result["table"]).is_file():
        print_markdown(Path(result["table"]).read_text(encoding="utf-8"))
        console.print(f"Table: {result['table']}", highlight=False, soft_wrap=True)
    if result.get("failures"):
        console.print(f"Failures: {result['failures']}", highlight=False, soft_wrap=True)


def _headline(result: dict) -> str:
    """The stage's own closing words, if it has any."""
    return f" ({result['headline']})" if result.get("headline") else ""
