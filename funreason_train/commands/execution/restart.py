"""`restart=STAGE`: a stage and those after it start afresh, once, however often the command is repeated.

A restart is a request with an identity: the stage, a word of the user's (`restart=sft:again`), and the
settings that decide the stage's result. The manifest keeps the latest one. The same command after Ctrl-C, a
kill or a requeue finds its own request there and continues the stage that it restarted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...run.fingerprint import fingerprint
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...run.stage import Stage
from ..stages import STAGES, stage_of
from .aside import Move, moves
from .job import Job

if TYPE_CHECKING:
    from omegaconf import DictConfig


@contextmanager
def restarted(config: DictConfig, run: RunDir, stages: Sequence[Stage]) -> Iterator[str]:
    """Moves aside what `config.restart` asks for; if the context ends with an error, it is moved back.

    A restart that was killed half-way is finished first, whatever the command asks for.

    Args:
        config: Of the command.
        run: The run directory, locked.
        stages: What the command runs.

    Yields:
        What to tell the user; empty if there is nothing.

    Raises:
        UserError: if there is no such stage, or the command does not run it.
    """
    manifest = Manifest(run)
    if manifest.restart.get("state") == "moving":
        _settle(manifest, [Move(**move) for move in manifest.restart["moves"]], manifest.restart)
    if not config.restart:
        yield ""
        return
    first, _, word = str(config.restart).partition(":")
    stage = stage_of(first, where="restart")
    if stage.name not in {one.name for one in stages}:
        raise UserError(
            f"this command does not run the stage '{first}'",
            where=f"restart={config.restart}",
            fix=f"Use `funreason-train {first} restart={config.restart}`, or the pipeline",
        )
    request = {"stage": first, "word": word, "settings": _identity(stage, config, run)}
    latest = manifest.restart
    if latest.get("request") == request and not Job.of(stage, config, run).changes(manifest).another:
        yield (
            f"restart={config.restart} was carried out on {latest['time']}, so this command continues. "
            f"To start afresh once more, add a new word: restart={first}:again"
            + (f", restart={first}:third, …" if word else "")
        )
        return
    names = list(STAGES)
    later = [stage_of(name) for name in names[names.index(first) :]]
    planned = moves(later, config, run)
    asked = {
        "request": request,
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "moves": [asdict(move) for move in planned],
    }
    manifest.restart = {**asked, "state": "moving"}
    for move in planned:
        move.do()
    moved = [move for move in planned if move.target]
    try:
        yield "".join(f"{move.stage}: the result so far is kept in {move.target}\n" for move in moved).strip()
    except BaseException:
        for move in planned:
            move.undo()
        manifest.restart = latest
        raise
    _settle(manifest, planned, asked)


def _settle(manifest: Manifest, planned: Sequence[Move], request: dict[str, Any]) -> None:
    """Makes the moves that are left and closes the records."""
    for move in planned:
        move.do()
    manifest.set_aside({move.stage: move.target for move in planned}, {**request, "state": "moved"})


def _identity(stage: Stage, config: DictConfig, run: RunDir) -> str:
    settings = Job.of(stage, config, run).settings
    return fingerprint(
        {key: value for key, value in settings.items() if not stage.decides.is_harmless(key)}, {}
    )
