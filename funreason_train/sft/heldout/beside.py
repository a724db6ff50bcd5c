"""Plays held-out tasks with one checkpoint after another while training goes on (see `record`).

A thread of the stage's process takes what the training hands over. Each model is played by the evaluation
stage in a process of its own, in a place that Ray gives it: beside the training on GPUs of its own, or, while
the training pauses, on the training's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from ...cluster import connect
from ...cluster.demand import Demand
from ...errors import UserError
from ...models.folder import local_folder
from ...pages.statistics import wilson
from ...run import beat, progress
from ...run.files import read_json, write_text
from ...run.paths import RunDir
from ...run.process import Child, ChildFailed
from ...run.stage import RUN_STAGE
from ..llamafactory.arguments import Paths, batch_of
from ..publish import ADAPTER, hand_over
from ..train import checkpoints
from .check import gpus_of, task_file
from .record import HeldOut

if TYPE_CHECKING:
    from omegaconf import DictConfig

_POLL = 0.3  # seconds between two looks for a model
_MOST_WORDS = 500  # of a reason


class Player(Protocol):
    """Who plays the tasks with a model."""

    def play(self, step: int, model: Path) -> Mapping[str, Any]:
        """The figures of a line of `held_out.jsonl`, without `step`.

        Raises:
            Exception: whatever kept the tasks from being played.
        """

    def cancel(self) -> None:
        """Ends what is being played, from another thread."""


class Beside:
    """Plays what is handed over, oldest first, until it is left; a failure is told and ends nothing else.

    Args:
        held: The record.
        player: Who plays.
        stop: The file that asks the training to save and end; made here when the scores have fallen.
        patience: After how many scores in a row below the best one; None: never.
        gpus: That the player takes beside the training's.
        say: Where it is told.
    """

    def __init__(
        self,
        held: HeldOut,
        player: Player,
        stop: Path,
        patience: int | None,
        gpus: int = 0,
        say: Callable[[str], None] = print,
    ) -> None:
        self.gpus = gpus
        self._held, self._player, self._stop, self._patience = held, player, stop, patience
        self._say = say
        self._over, self._no_more = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="held-out tasks", daemon=True)

    def __enter__(self) -> Beside:
        self._held.clear()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        while self._thread.is_alive():
            self._player.cancel()  # again, since it may have begun only now
            self._thread.join(_POLL)

    def drain(self) -> None:
        """Returns when nothing waits any more; at once if the training was asked to end, or has fallen."""
        self._no_more.set()
        while self._thread.is_alive() and not self._stop.exists():
            if waiting := self._held.waiting():
                progress.report(0, None, f"held-out tasks of step {waiting[0]}, {time.strftime('%H:%M')}")
            self._thread.join(_POLL)

    def _work(self) -> None:
        try:
            self._play_all()
        except Exception as error:  # a full disk, say
            self._say(f"no more held-out tasks are played, and training goes on: {error}")

    def _play_all(self) -> None:
        # Nothing after a fall: a better score of a model that waited would take the reason to end away.
        while not self._over.is_set() and not self._held.fell(self._patience):
            waiting = self._held.waiting()
            if waiting:
                self._one(waiting[0])
            elif self._no_more.is_set():
                return
            else:
                self._over.wait(_POLL)

    def _one(self, step: int) -> None:
        began = time.monotonic()
        try:
            figures = dict(self._player.play(step, self._held.model(step)))
        except Exception as error:
            if self._over.is_set():  # it was ended with the training, and waits for the next attempt
                return
            why = " ".join(str(error).split())[:_MOST_WORDS] or type(error).__name__
            figures = {"failed": why}
        self._held.note(step, {**figures, "seconds": round(time.monotonic() - began, 1)})
        if "failed" in figures:
            why = figures["failed"]
            self._say(f"held-out tasks of step {step} could not be played, and training goes on: {why}")
            return
        self._say(f"held-out tasks of step {step}: {figures['accuracy']:.1%} of {figures['tasks']} right")
        if self._held.fell(self._patience):
            self._say(f"the last {self._patience} scores are below the best one; the training saves and ends")
            write_text(self._stop, "")


def of_run(config: DictConfig, run: RunDir) -> Beside:
    """Who plays for this run; a checkpoint that is due and was not handed over before a kill is now."""
    paths, settings, held = Paths.of(config, run), config.sft.evaluate, HeldOut(run.sft)
    base = local_folder(config.sft.model)
    for step, path in missed(held, paths.checkpoints, int(settings.every), batch_of(config).workers):
        hand_over(path, held.model(step), str(base))
    player = RayPlayer(config, held, base, task_file(config, run))
    gpus = 0 if settings.pause else gpus_of(config)
    return Beside(held, player, run.stop("sft"), settings.stop_below_best, gpus)


def play_waiting(config: DictConfig, run: RunDir) -> None:
    """Plays what was handed over and not played yet, without training; nothing if nothing was."""
    if not HeldOut(run.sft).waiting():
        return
    gpus = gpus_of(config)
    demand = Demand("playing held-out tasks", 1, 1, gpus, 0, "eval.tensor_parallel and eval.replicas")
    with connect(config.cluster, cpus=1, demand=demand), of_run(config, run) as beside:
        beside.drain()


class RayPlayer:
    """Plays with the evaluation stage, in a Ray task that holds the GPUs that it takes.

    Args:
        config: The project's configuration.
        held: The record; evaluations have their run directory in its folder.
        base: The model that training started from, a folder.
        tasks: The task file.
    """

    def __init__(self, config: DictConfig, held: HeldOut, base: Path, tasks: Path) -> None:
        self._config, self._held, self._base, self._tasks = config, held, base, tasks
        self._running: Any = None

    def play(self, step: int, model: Path) -> Mapping[str, Any]:
        """See `Player`."""
        import ray
        from omegaconf import OmegaConf
        from ray.exceptions import GetTimeoutError

        settings, run = self._config.sft.evaluate, RunDir(self._held.folder)
        config = evaluation(self._config, step, model, self._tasks)
        write_text(run.config, OmegaConf.to_yaml(config, resolve=True))
        job = {
            "config": str(run.config),
            "run": str(run.root),
            "model": str(model),
            "base": str(self._base),
            "log": str(run.root / "logs" / f"step-{step}.log"),
        }
        gpus = 0 if settings.pause else gpus_of(self._config)
        task = ray.remote(_play).options(num_cpus=1, num_gpus=gpus, max_retries=0)
        self._running = task.remote(job)
        try:
            failed = ray.get(self._running, timeout=float(settings.seconds))
        except GetTimeoutError:
            self.cancel()
            raise UserError(
                f"playing did not end within {settings.seconds:g} s (log: {job['log']})",
                fix="Raise sft.evaluate.seconds, or play fewer tasks (sft.evaluate.limit)",
            ) from None
        if failed:
            raise UserError(failed)
        benchmark = str(settings.benchmark)
        return figures(read_json(run.eval(model.name, benchmark) / "scores.json"))

    def cancel(self) -> None:
        """See `Player`."""
        import ray

        if self._running is not None:
            with suppress(Exception):
                ray.cancel(self._running, force=True)


def missed(held: HeldOut, folder: Path, every: int, workers: int) -> list[tuple[int, Path]]:
    """The whole checkpoints that are due, and were neither played nor handed over: step and folder."""
    found = []
    for path in checkpoints.checkpoints(folder):
        step = checkpoints.read_step(path)
        if step and held.wants(step, every, last=False) and not checkpoints.defects(path, workers):
            found.append((step, path))
    return found


def evaluation(config: DictConfig, step: int, model: Path, tasks: Path) -> DictConfig:
    """The configuration of the evaluation stage for one checkpoint: as the run's own, once and in short.

    Args:
        config: The project's configuration.
        step: Of the checkpoint.
        model: Its folder.
        tasks: The task file.
    """
    settings, found = config.sft.evaluate, config.copy()
    found.run_dir = str(model.parent)
    for name in ("synth", "data", "export"):
        found[name].out = None
    ours = found.eval
    ours.models = {f"step-{step}": str(model)}
    ours.benchmark, ours.tasks, ours.limit = settings.benchmark, str(tasks), settings.limit
    ours.categories = list(settings.categories)
    ours.samples, ours.seeds, ours.pass_k, ours.endpoint, ours.served_name = 1, None, None, None, None
    ours.replicas = ours.replicas or 1
    ours.max_model_tokens = min(int(ours.max_model_tokens), int(settings.max_model_tokens))
    if settings.pause:
        ours.gpu_memory = settings.gpu_memory
    return found


def figures(scores: Mapping[str, Any]) -> dict[str, Any]:
    """A line's figures from a model's `scores.json`; BFCL's entries count alike, whatever their category."""
    if "accuracy" in scores:
        return {name: scores[name] for name in ("accuracy", "ci95", "right", "tasks")}
    parts = scores["categories"].values()
    right, tasks = sum(part["right"] for part in parts), sum(part["tasks"] for part in parts)
    if not tasks:
        raise UserError("no entry of BFCL could be run", where="sft.evaluate.categories")
    return {"accuracy": right / tasks, "ci95": list(wilson(right, tasks)), "right": right, "tasks": tasks}


def _play(job: Mapping[str, str]) -> str:
    """What the Ray task does; returns why it failed, or nothing.

    Args:
        job: See `RayPlayer.play`.
    """
    apart = {progress.VARIABLE: "", beat.VARIABLE: ""}  # the training's own
    model, log = Path(job["model"]), Path(job["log"])
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not (model / "config.json").is_file():  # LoRA's matrices alone
            made = {"checkpoint": str(model / ADAPTER), "out": str(model), "base": job["base"]}
            with Child("funreason_train.sft.publish:make", made, environment=apart, log=log) as child:
                child.result()
        stage = {"stage": "eval", "config": job["config"], "run": job["run"]}
        with Child(RUN_STAGE, stage, environment=apart, log=log) as child:
            child.result()
    except (UserError, ChildFailed, OSError) as error:
        return f"{error} (log: {log})"
    return ""
