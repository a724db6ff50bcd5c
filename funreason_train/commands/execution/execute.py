"""Runs a stage once: skipped if it is finished, continued if it is not, refused if it is another job's."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...run.files import write_text
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...run.stage import Stage
from ...run.stop import STOPPED
from ..display import say
from .aside import moves
from .job import Job
from .prose import another_job
from .spawn import spawn
from .stop import StageStopped

if TYPE_CHECKING:
    from omegaconf import DictConfig


def execute(stage: Stage, config: DictConfig, run: RunDir, lock: int) -> dict[str, Any]:
    """Runs a stage in a process of its own, unless it is done already.

    Settings that do not touch its result may change; with more steps or epochs it goes on.

    Returns:
        The stage's result, with `skipped` true if nothing had to be done.

    Raises:
        UserError: for the user's mistakes and for a run directory that holds another job's stage.
        StageFailed: if the stage crashed.
        StageStopped: if it has saved and ended because it was asked to.
    """
    from omegaconf import OmegaConf

    manifest, job = Manifest(run), Job.of(stage, config, run)
    record = manifest.stage(stage.name)
    found = job.changes(manifest)
    if found.another:
        if stage.again == "refuse":
            raise another_job(stage, run, found)
        if stage.again == "aside":
            _set_aside(stage, config, run, manifest)
        record = {}
    made = all(path.exists() for path in stage.makes(config, run))
    if record.get("state") == "done" and made and not found.grown:
        return {**record["result"], "skipped": True}
    if record and found.grown:
        say(f"{stage.title} goes on: {'; '.join(found.grown)}")
    attempt = int(record.get("attempts", 0)) + 1
    manifest.update(
        stage.name,
        state="running",
        fingerprint=job.fingerprint,
        settings=job.settings,
        inputs=job.inputs,
        attempts=attempt,
        versions={"funreason-train": __version__},
    )
    write_text(run.config, OmegaConf.to_yaml(config, resolve=True))
    started = time.monotonic()
    try:
        result, peak = spawn(stage, config, run, lock, _free_log(run, stage, attempt))
    except BaseException:
        manifest.update(stage.name, state="failed")
        raise
    seconds = record.get("seconds", 0.0) + time.monotonic() - started
    if STOPPED in result:
        manifest.update(stage.name, state="stopped", seconds=round(seconds, 1), peak_bytes=peak)
        at = (
            f"saved at step {result[STOPPED]} and stopped"
            if result[STOPPED]
            else "stopped before its first step"
        )
        raise StageStopped(f"{stage.title}: {at}, as asked; the same command goes on from there")
    manifest.update(stage.name, state="done", result=result, seconds=round(seconds, 1), peak_bytes=peak)
    return {**result, "skipped": False}


def _set_aside(stage: Stage, config: DictConfig, run: RunDir, manifest: Manifest) -> None:
    (move,) = moves([stage], config, run)
    move.do()
    manifest.set_aside({stage.name: move.target}, {})
    if move.target:
        say(f"{stage.title}: what it is made of has changed; the earlier result is kept in {move.target}")


def _free_log(run: RunDir, stage: Stage, attempt: int) -> int:
    """The number of the next log: a restart counts its attempts anew and keeps the logs that are there."""
    pattern = re.compile(rf"{re.escape(stage.name)}\.(\d+)\.log")
    used = [int(found[1]) for path in run.logs.glob("*.log") if (found := pattern.fullmatch(path.name))]
    return max([attempt, *(number + 1 for number in used)])
