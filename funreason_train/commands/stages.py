"""The stages of a run: what each one reads and makes, and how it is started, skipped and resumed."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .. import __version__
from ..errors import UserError
from ..run import manifest as lineage
from ..run.paths import RunDir, read_json, write_text
from ..run.progress import VARIABLE as PROGRESS_VARIABLE
from .cause import first_cause, in_one_line
from .display import StageDisplay
from .memory import PeakMemory

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: The command and the sub-package (`funreason_train.NAME.stage`; `eval` lives in `evaluate`).
        title: What the user reads while it runs.
        package: The sub-package that holds `stage.py`.
        sections: The configuration nodes that decide its result, besides seed, protocol and model.
        reads: The files and folders its result depends on.
        makes: The files and folders that are there once it is done.
        folder: What is moved aside when the stage is started afresh.
        repeatable: The stage keeps results of different jobs apart by itself, so another job may follow.
    """

    name: str
    title: str
    package: str
    sections: tuple[str, ...]
    reads: Callable[[DictConfig, RunDir], list[Path]]
    makes: Callable[[DictConfig, RunDir], list[Path]]
    folder: Callable[[RunDir], Path]
    repeatable: bool = False


def _model_folder(path: str | None) -> list[Path]:
    """The files of a local model; a hub id has none here."""
    return [Path(path)] if path and Path(path).is_dir() else []


def _datasets(config: DictConfig) -> list[Path]:
    named = [config.data.get(name) for name in config.data.datasets]
    return [Path(node.path) for node in named if node is not None and node.get("path")]


def _tasks(config: DictConfig, run: RunDir) -> list[Path]:
    """The task file of an evaluation; BFCL's questions come with its package."""
    settings = config.eval
    named = {"heldout": settings.tasks or run.data / "tasks" / "heldout.jsonl", "custom": settings.path}
    found = named.get(settings.benchmark)
    return [Path(found)] if found else []


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "data",
            "Preparing data",
            "data",
            ("data",),
            lambda config, run: [*_datasets(config), *_model_folder(config.model.path)],
            lambda config, run: [Path(config.data.out or run.data) / "manifest.json"],
            lambda run: run.data,
        ),
        Stage(
            "sft",
            "Supervised fine-tuning (LLaMA-Factory)",
            "sft",
            ("sft",),
            lambda config, run: [run.data / "sft", *_model_folder(config.sft.model)],
            lambda config, run: [run.sft_model / "config.json"],
            lambda run: run.sft,
        ),
        Stage(
            "rl",
            "Reinforcement learning (verl GRPO)",
            "rl",
            ("rl",),
            lambda config, run: [run.data / "rl", *_model_folder(config.rl.model)],
            lambda config, run: [run.rl_checkpoints / "latest_checkpointed_iteration.txt"],
            lambda run: run.rl,
        ),
        Stage(
            "export",
            "Exporting to Hugging Face format",
            "export",
            ("export",),
            lambda config, run: [run.rl_checkpoints / "latest_checkpointed_iteration.txt"],
            lambda config, run: [run.export / "config.json"],
            lambda run: run.export,
        ),
        Stage(
            "eval",
            "Evaluating",
            "evaluate",
            ("eval",),
            lambda config, run: [
                *_tasks(config, run),
                *(file for path in config.eval.models.values() for file in _model_folder(path)),
            ],
            lambda config, run: [
                run.eval_table(config.eval.benchmark),
                *(run.eval(name, config.eval.benchmark) / "scores.json" for name in config.eval.models),
            ],
            lambda run: run.root / "eval",
            repeatable=True,
        ),
    )
}


def settings_of(stage: Stage, config: DictConfig) -> dict[str, Any]:
    """The settings that decide the stage's result, resolved. Where it runs (cluster) is not among them."""
    from omegaconf import OmegaConf

    nodes = {name: config[name] for name in ("seed", "protocol", "model", *stage.sections)}
    plain = {
        name: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for name, node in nodes.items()
    }
    return {**plain, "device": config.cluster.device}


def check(stage: Stage, config: DictConfig, run: RunDir) -> list[str]:
    """Every problem of the stage that can be found without starting a framework."""
    return list(importlib.import_module(f"funreason_train.{stage.package}.stage").check(config, run))


#: How long the processes of a command that was killed may take to end, in seconds.
_ORPHANS_END = 60.0


@contextmanager
def locked(run: RunDir) -> Iterator[int]:
    """Holds the run directory; the processes of a stage inherit the lock, so an orphan still holds it.

    A command that was killed leaves orphans for a moment, which are waited for.

    Raises:
        UserError: if another command works in this run directory.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + _ORPHANS_END
    with (run.root / ".lock").open("a+") as file:
        while not _taken(file):
            file.seek(0)
            if _alive(file.read().strip()) or time.monotonic() > until:
                raise UserError(
                    "another process is working in this run directory",
                    where=str(run.root),
                    mend="Wait for it, or choose another place with run_dir=DIR",
                )
            time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()
        file.truncate(0)


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
    return True


def execute(stage: Stage, config: DictConfig, run: RunDir, lock: int) -> dict[str, Any]:
    """Runs a stage in a process of its own, unless it is done already.

    Returns:
        The stage's result, with `skipped` true if nothing had to be done.

    Raises:
        UserError: for the user's mistakes and for a run directory that holds another job's stage.
        StageFailed: if the stage crashed.
    """
    from omegaconf import OmegaConf

    manifest = lineage.Manifest(run)
    record = manifest.stage(stage.name)
    settings = settings_of(stage, config)
    inputs = lineage.digests(stage.reads(config, run))
    wanted = lineage.fingerprint(settings, inputs)
    if record and record["fingerprint"] != wanted:
        if not stage.repeatable:
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
        result, peak = _spawn(stage, config, run, lock, attempt)
    except BaseException:
        manifest.update(stage.name, state="failed")
        raise
    seconds = record.get("seconds", 0.0) + time.monotonic() - started
    manifest.update(stage.name, state="done", result=result, seconds=round(seconds, 1), peak_bytes=peak)
    return {**result, "skipped": False}


class StageFailed(Exception):
    """A stage crashed; the message names its log and shows its end."""


def _refuse_other_job(
    stage: Stage, run: RunDir, record: dict[str, Any], settings: dict[str, Any], inputs: dict[str, str]
) -> None:
    changes = lineage.changed_settings(record["settings"], settings)
    changes += [f"input {line}" for line in lineage.changed_settings(record["inputs"], inputs)]
    shown = "; ".join(changes[:5]) + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
    raise UserError(
        f"this run directory holds the stage '{stage.name}' of another job ({shown})",
        where=str(run.root),
        mend=f"Choose another run_dir=DIR, or redo the stage and those after it with restart={stage.name} "
        "(the old ones are kept under old/)",
    )


def move_aside(run: RunDir, first: str) -> None:
    """Makes the stage `first` and all later ones start afresh, keeping what they made under `RUN_DIR/old`."""
    names = list(STAGES)
    manifest = lineage.Manifest(run)
    for name in names[names.index(first) :]:
        folder = STAGES[name].folder(run)
        if folder.exists():
            number = 1
            while (target := run.root / "old" / f"{folder.name}.{number}").exists():
                number += 1
            target.parent.mkdir(exist_ok=True)
            shutil.move(folder, target)
        if manifest.stage(name):
            manifest.forget(name)


def _spawn(
    stage: Stage, config: DictConfig, run: RunDir, lock: int, attempt: int
) -> tuple[dict[str, Any], int]:
    run.logs.mkdir(exist_ok=True)
    log = run.logs / f"{stage.name}.{attempt}.log"
    result = run.root / ".stage" / f"{stage.name}.json"
    progress = run.root / ".stage" / f"{stage.name}.progress"
    result.parent.mkdir(exist_ok=True)
    for old in (result, progress):
        old.unlink(missing_ok=True)
    worker = [sys.executable, "-m", "funreason_train.commands.worker"]
    command = [*worker, stage.package, str(run.config), str(result)]
    environment = {**os.environ, PROGRESS_VARIABLE: str(progress), "PYTHONUNBUFFERED": "1"}
    on_screen = config.output == "screen"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=None if on_screen else file,
            stderr=None if on_screen else subprocess.STDOUT,
            env=environment,
            pass_fds=(lock,),
        )
        peak = PeakMemory(process.pid)
        try:
            with StageDisplay(stage.title, progress, enabled=not on_screen) as display:
                while process.poll() is None:
                    display.refresh()
                    peak.sample()
                    time.sleep(0.5)
        except BaseException:
            _end(process)
            raise
    outcome = read_json(result) if result.is_file() else {}
    if "ok" in outcome:
        return dict(outcome["ok"] or {}), peak.bytes
    if outcome.get("user"):
        raise UserError(str(outcome["error"]))
    why = f"its process ended with code {process.returncode} without a word"
    raise StageFailed(_failure(stage.name, in_one_line(outcome.get("error") or why), log))


def _failure(name: str, why: str, log: Path) -> str:
    """What is said of a stage that crashed: the first error of its log, and the one that ended it."""
    after = "the same command continues where it stopped"
    # Progress bars end their lines with a carriage return, which editors do not count.
    with log.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        cause = first_cause(lines)
    if cause is None:
        return f"the stage '{name}' failed: {why}\n  its log: {log}\n  {after}"
    who = cause.process or "the driver"
    first = f"the stage '{name}' failed, first in {who}: {cause.error} (line {cause.line} of {log})"
    echo = "" if why in cause.error or cause.error in why else f"\n  its end: {why}"
    mend = f"\n  {cause.mend}" if cause.mend else ""
    return f"{first}{mend}{echo}\n  {after}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a stage the way Ctrl-C would, and waits; only the process that we started."""
    for number, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        return
