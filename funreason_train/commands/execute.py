"""Runs a stage once: a finished one is skipped, an interrupted one resumes, another job's is refused."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import UserError
from ..run import fingerprint as prints
from ..run.files import write_text
from ..run.manifest import Manifest, changed_settings
from ..run.paths import RunDir
from ..run.stage import Stage
from .spawn import spawn
from .stages import STAGES, stage_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


def settings_of(stage: Stage, config: DictConfig) -> dict[str, Any]:
    """The settings that decide the stage's result, resolved. Where it runs (cluster) is not among them."""
    from omegaconf import OmegaConf

    nodes = {name: config[name] for name in stage.decides.sections}
    plain = {
        name: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for name, node in nodes.items()
    }
    return {**plain, "device": config.cluster.device}


def execute(stage: Stage, config: DictConfig, run: RunDir, lock: int) -> dict[str, Any]:
    """Runs a stage in a process of its own, unless it is done already.

    Returns:
        The stage's result, with `skipped` true if nothing had to be done.

    Raises:
        UserError: for the user's mistakes and for a run directory that holds another job's stage.
        StageFailed: if the stage crashed.
    """
    from omegaconf import OmegaConf

    manifest = Manifest(run)
    record = manifest.stage(stage.name)
    settings = settings_of(stage, config)
    inputs = prints.digests(stage.reads(config, run))
    wanted = prints.fingerprint(settings, inputs)
    if record and record["fingerprint"] != wanted:
        if stage.again == "refuse":
            _refuse_other_job(stage, run, record, settings, inputs)
        record = {}
    if record.get("state") == "done" and all(path.exists() for path in stage.makes(config, run)):
        return {**record["result"], "skipped": True}
    attempt = int(record.get("attempts", 0)) + 1
    manifest.update(
        stage.name,
        state="running",
        fingerprint=wanted,
        settings=settings,
        inputs=inputs,
        attempts=attempt,
        versions={"funreason-train": __version__},
    )
    write_text(run.config, OmegaConf.to_yaml(config, resolve=True))
    started = time.monotonic()
    try:
        result, peak = spawn(stage, config, run, lock, attempt)
    except BaseException:
        manifest.update(stage.name, state="failed")
        raise
    seconds = record.get("seconds", 0.0) + time.monotonic() - started
    manifest.update(stage.name, state="done", result=result, seconds=round(seconds, 1), peak_bytes=peak)
    return {**result, "skipped": False}


def _refuse_other_job(
    stage: Stage, run: RunDir, record: dict[str, Any], settings: dict[str, Any], inputs: dict[str, str]
) -> None:
    changes = changed_settings(record["settings"], settings)
    changes += [f"input {line}" for line in changed_settings(record["inputs"], inputs)]
    shown = "; ".join(changes[:5]) + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
    raise UserError(
        f"the stage '{stage.name}' here was made with different settings ({shown})",
        where=str(run.root),
        mend=f"Choose another run_dir=DIR, or redo the stage and those after it with restart={stage.name} "
        "(the old ones are kept under old/)",
    )


def move_aside(run: RunDir, first: str, config: DictConfig) -> None:
    """Makes the stage `first` and all later ones start afresh, keeping what they made under `RUN_DIR/old`."""
    names = list(STAGES)
    manifest = Manifest(run)
    for name in names[names.index(first) :]:
        folder = stage_of(name).folder(config, run)
        if folder.exists():
            number = 1
            while (target := run.root / "old" / f"{folder.name}.{number}").exists():
                number += 1
            target.parent.mkdir(exist_ok=True)
            shutil.move(folder, target)
        if manifest.stage(name):
            manifest.forget(name)
