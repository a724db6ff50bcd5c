"""What is wrong with playing held-out tasks while training, before anything starts, and how it is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...cluster import Profile
from ...environments import read_tasks
from ...environments.tasks import NotATask
from ...run.paths import RunDir
from ..llamafactory.arguments import workers_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


def gpus_of(config: DictConfig) -> int:
    """GPUs that playing takes: those of the configured engines, by default one engine."""
    if config.cluster.device == "cpu":
        return 0
    return int(config.eval.tensor_parallel) * int(config.eval.replicas or 1)


def task_file(config: DictConfig, run: RunDir) -> Path:
    """The tasks: by default those for choices, so that the held-out ones stay what nothing was chosen on."""
    named = config.sft.evaluate.tasks
    return Path(named).expanduser().absolute() if named else run.tasks("tuning")


def problems(config: DictConfig, run: RunDir, later: bool) -> list[str]:
    """One sentence a problem.

    Args:
        config: The configuration.
        run: The run directory.
        later: Whether an earlier stage may still make the tasks.
    """
    settings = config.sft.evaluate
    if settings.every is None:
        return []
    found = []
    if settings.benchmark == "heldout":
        found += _task_problems(task_file(config, run), run, later)
    profile = Profile.of(config.cluster)
    if profile.device != "cpu" and not settings.pause:
        found += _gpu_problems(profile, workers_of(config.cluster), gpus_of(config))
    return found


def _task_problems(file: Path, run: RunDir, later: bool) -> list[str]:
    if not file.is_file():
        if later and run.holds(file):
            return []
        return [
            f"{file}: there are no tasks to play while training; name a file with sft.evaluate.tasks=FILE, "
            "make one with `funreason-train synth` in this run directory, or set sft.evaluate.every=null"
        ]
    try:
        count = sum(1 for _ in read_tasks(file))
    except (NotATask, OSError) as error:
        return [f"{file}: {error}; make the file again"]
    if not count:
        return [f"{file}: there is no task in it; name another with sft.evaluate.tasks=FILE"]
    return []


def _gpu_problems(profile: Profile, workers: int, needed: int) -> list[str]:
    spare = profile.gpus - workers
    if spare >= needed and needed <= profile.gpus_per_node:
        return []
    free = f", or leave some free with cluster.sft.workers={profile.gpus - needed} or fewer"
    return [
        f"sft.evaluate.every: playing held-out tasks beside the training takes {needed} "
        f"GPU{'s' * (needed > 1)} of one machine, and cluster={profile.name} trains on {workers} of its "
        f"{profile.gpus}. Set sft.evaluate.pause=true, so that training waits meanwhile and its GPUs are used"
        + free
        * (profile.gpus > needed)
    ]


def line(config: DictConfig, run: RunDir) -> str:
    """What is going to be played, in a few words; empty if nothing is."""
    settings = config.sft.evaluate
    if settings.every is None:
        return ""
    what = (
        f"BFCL ({', '.join(settings.categories)})"
        if settings.benchmark == "bfcl"
        else f"tasks of {task_file(config, run)}"
    )
    most = f"at most {settings.limit:,} " if settings.limit else ""
    where = "while training waits" if settings.pause else "beside the training"
    ends = settings.stop_below_best
    return (
        f"every {settings.every:,} steps, {most}{what}, {where}; the {settings.keep} model is kept"
        + f", training ends after {ends} scores in a row below the best" * bool(ends)
    )
