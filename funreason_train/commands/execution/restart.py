"""`restart=STAGE`: a stage and those after it start afresh, once, however often the command is repeated.

A restart is a request with an identity: the stage, a word of the user's (`restart=sft:again`), and the
settings that decide the stage's result. The manifest keeps the latest one. The same command after Ctrl-C, a
kill or a requeue finds its own request there and continues the stage that it restarted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Asked:
    """A request to start a stage afresh.

    Attributes:
        stage: Which.
        job: What it is asked to do.
        request: As the manifest keeps it.
    """

    stage: Stage
    job: Job
    request: Mapping[str, str]

    def carried_out(self, manifest: Manifest) -> bool:
        """Whether this very request was the latest one, so that the stage goes on."""
        return manifest.restart.get("request") == self.request and not self.job.changes(manifest).another


def asked_for(config: DictConfig, run: RunDir, stages: Sequence[Stage]) -> Asked | None:
    """The request that a command makes with `restart=STAGE`; None if it makes none.

    Raises:
        UserError: if there is no such stage, or the command does not run it.
    """
    if not config.restart:
        return None
    first, _, word = str(config.restart).partition(":")
    stage = stage_of(first, where="restart")
    if stage.name not in {one.name for one in stages}:
        raise UserError(
            f"this command does not run the stage '{first}'",
            where=f"restart={config.restart}",
            fix=f"Use `funreason-train {first} restart={config.restart}`, or the pipeline",
        )
    job = Job.of(stage, config, run)
    return Asked(stage, job, {"stage": first, "word": word, "settings": _identity(job)})


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
    asked = asked_for(config, run, stages)
    if asked is None:
        yield ""
        return
    latest = manifest.restart
    if asked.carried_out(manifest):
        yield (
            f"restart={config.restart} was carried out on {latest['time']}, so this command continues. "
            f"To start afresh once more, add a new word: restart={asked.stage.name}:again"
            + (f", restart={asked.stage.name}:third, …" if asked.request["word"] else "")
        )
        return
    names = list(STAGES)
    later = [stage_of(name) for name in names[names.index(asked.stage.name) :]]
    planned = moves(later, config, run)
    told = {
        "request": asked.request,
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "moves": [asdict(move) for move in planned],
    }
    manifest.restart = {**told, "state": "moving"}
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
    _settle(manifest, planned, told)


def _settle(manifest: Manifest, planned: Sequence[Move], request: dict[str, Any]) -> None:
    """Makes the moves that are left and closes the records."""
    for move in planned:
        move.do()
    manifest.set_aside({move.stage: move.target for move in planned}, {**request, "state": "moved"})


def _identity(job: Job) -> str:
    harmless = job.stage.decides.is_harmless
    return fingerprint({key: value for key, value in job.settings.items() if not harmless(key)}, {})
