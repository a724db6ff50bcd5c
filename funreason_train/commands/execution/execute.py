"""Runs a stage once: skipped if it is finished, continued if it is not, refused if it is another job's."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...run.attempts import Attempt
from ...run.changes import Changes
from ...run.files import write_text
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...run.stage import Stage
from ...run.stop import STOPPED
from ..display import say
from .aside import moves
from .job import Job, left_nothing
from .origin import origin_of
from .prose import another_job
from .spawn import spawn
from .stop import StageStopped

if TYPE_CHECKING:
    from omegaconf import DictConfig


def execute(stage: Stage, config: DictConfig, run: RunDir, lock: int, attempt: Attempt) -> dict[str, Any]:
    """Runs a stage in a process of its own, unless it is done already.

    Settings that do not touch its result may change; with more steps or epochs it goes on.

    Args:
        stage: Which.
        config: Of the command.
        run: The run directory.
        lock: The descriptor of its lock.
        attempt: The command's go at the run, which begins here if the stage has something to do.

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
        nothing = left_nothing(stage, config, run, record)
        if stage.again == "refuse" and not nothing:
            raise another_job(stage, run, found)
        if nothing:
            _set_aside(
                stage, config, run, manifest, "the earlier attempt had not begun; its files are kept in"
            )
            found = Changes()
        elif stage.again == "aside":
            why = "what it is made of has changed; the earlier result is kept in"
            _set_aside(stage, config, run, manifest, why)
        record = {}
    made = all(path.exists() for path in stage.makes(config, run))
    if record.get("state") == "done" and made and not found.grown:
        return {**record["result"], "skipped": True}
    if record and found.grown:
        say(f"{stage.title} goes on: {'; '.join(found.grown)}")
    text = OmegaConf.to_yaml(config, resolve=True)
    attempt.begin(text)
    # What another job of this stage came to is nothing of this one's, should it fail.
    other = manifest.stage(stage.name) and not record
    manifest.update(
        stage.name,
        **({"result": {}, "seconds": None, "peak_bytes": None} if other else {}),
        state="running",
        fingerprint=job.fingerprint,
        settings=job.settings,
        inputs=job.inputs,
        attempts=int(record.get("attempts", 0)) + 1,
        versions={"funreason-train": __version__},
        origin=origin_of(job, config, attempt),
    )
    write_text(run.config, text)
    started = time.monotonic()
    try:
        result, peak = spawn(stage, config, run, lock, attempt.stage_begins(stage.name))
    except BaseException:
        with suppress(OSError):  # a full disk must not hide the error
            manifest.update(stage.name, state="failed")
            attempt.stage_ends(stage.name, "failed")
        raise
    seconds = (record.get("seconds") or 0.0) + time.monotonic() - started
    peak = max(peak, record.get("peak_bytes") or 0)
    if STOPPED in result:
        attempt.stage_ends(stage.name, "stopped")
        manifest.update(stage.name, state="stopped", seconds=round(seconds, 1), peak_bytes=peak)
        at = (
            f"saved at step {result[STOPPED]} and stopped"
            if result[STOPPED]
            else "stopped before its first step"
        )
        raise StageStopped(f"{stage.title}: {at}, as asked; the same command goes on from there")
    attempt.stage_ends(stage.name, "done")
    manifest.update(stage.name, state="done", result=result, seconds=round(seconds, 1), peak_bytes=peak)
    return {**result, "skipped": False}


def _set_aside(stage: Stage, config: DictConfig, run: RunDir, manifest: Manifest, why: str) -> None:
    (move,) = moves([stage], config, run)
    move.do()
    manifest.set_aside({stage.name: move.target}, {})
    if move.target:
        say(f"{stage.title}: {why} {move.target}")
