"""What is wrong with an evaluation's settings, before anything is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..cluster.profile import visible_gpus
from ..errors import UserError
from ..models import folder as models
from ..run.paths import RunDir
from ..settings.compose import unknown
from .attempts import Attempts
from .bfcl.categories import choose_categories
from .bfcl.versions import VERSIONS

if TYPE_CHECKING:
    from omegaconf import DictConfig

BENCHMARKS = ("heldout", "bfcl", "custom")
_NAME = re.compile(r"[\w][\w.+-]*")


def problems(config: DictConfig, run: RunDir, later: bool) -> list[str]:
    """The stage's problems; with `later`, what lies in the run directory may be made by another stage."""
    settings = config.eval
    if settings.benchmark not in BENCHMARKS:
        return [unknown("benchmark", str(settings.benchmark), BENCHMARKS)]
    found = _model_problems(settings, run, later)
    if settings.benchmark == "bfcl":
        try:
            choose_categories(settings.categories)
        except UserError as error:
            found.append(str(error))
        if str(settings.bfcl.version) not in VERSIONS:
            known = ", ".join(VERSIONS)
            found.append(f"eval.bfcl.version={settings.bfcl.version} is not known; there are {known}")
    else:
        found += _file_problems(config, run, later)
    found += _setting_problems(settings, config)
    return found + attempts_of(settings).problems(float(settings.temperature))


def attempts_of(settings: DictConfig) -> Attempts:
    """How often the tasks are played."""
    seeds = settings.seeds if settings.seeds is not None else [settings.seed]
    return Attempts(tuple(map(int, seeds)), int(settings.samples), tuple(map(int, settings.pass_k or ())))


def task_file(config: DictConfig, run: RunDir) -> Path:
    """The tasks of a benchmark that has a file."""
    named = config.eval.path if config.eval.benchmark == "custom" else config.eval.tasks
    return Path(named).expanduser().absolute() if named else run.tasks("heldout")


def _model_problems(settings: DictConfig, run: RunDir, later: bool) -> list[str]:
    found = []
    if not settings.models:
        found.append("there is no model to evaluate; name one with model=DIR_OR_ID")
    for name, path in (settings.models or {}).items():
        if not _NAME.fullmatch(name):
            found.append(f"eval.models: '{name}' cannot name a folder; use letters, digits, dots and dashes")
        if models.is_hub_id(path) or (later and _within(Path(path), run.root)):
            continue
        found += models.folder_problems(Path(path))
    return found


def _file_problems(config: DictConfig, run: RunDir, later: bool) -> list[str]:
    settings, tasks = config.eval, task_file(config, run)
    if settings.benchmark == "custom" and not settings.path:
        return ["benchmark=custom needs path=FILE: a .parquet of RL rows or a .jsonl of executable tasks"]
    if settings.benchmark == "custom" and tasks.suffix not in (".parquet", ".jsonl"):
        return [f"{tasks}: own tasks are a .parquet of RL rows or a .jsonl of executable tasks"]
    if tasks.is_file() or (later and _within(tasks, run.root)):
        return []
    if settings.benchmark == "custom":
        return [f"{tasks}: there is no such file (eval.path)"]
    return [
        f"{tasks}: there is no task file; run `funreason-train synth` in this run directory first, "
        "or name one with eval.tasks=FILE"
    ]


def _setting_problems(settings: DictConfig, config: DictConfig) -> list[str]:
    found = [
        f"eval.{key}={settings[key]} must be at least 1"
        for key in ("max_tokens", "responses_per_turn", "concurrency", "tensor_parallel", "batched_tokens")
        if settings[key] < 1
    ]
    found += [
        f"eval.bfcl.{key}={settings.bfcl[key]} must be more than 0"
        for key in ("call_seconds", "memory_mib")
        if settings.bfcl[key] <= 0
    ]
    found += [
        f"eval.{key}={settings[key]} must be at least 1, or null"
        for key in ("limit", "replicas", "block_size", "kv_cache_gib")
        if settings[key] is not None and settings[key] <= 0
    ]
    if settings.temperature < 0:
        found.append(f"eval.temperature={settings.temperature} is negative; 0 is greedy")
    if not 0 < settings.top_p <= 1:
        found.append(f"eval.top_p={settings.top_p} is not in 0..1")
    if settings.max_model_tokens < 4:
        found.append(f"eval.max_model_tokens={settings.max_model_tokens} leaves no room for a prompt")
    if settings.served_name and len(settings.models or {}) > 1:
        found.append(
            "eval.served_name names one model; leave it out, and the server is asked for each model's path"
        )
    if config.cluster.device == "cpu" and settings.tensor_parallel > 1:
        found.append("eval.tensor_parallel splits a model over GPUs; on a CPU use eval.replicas")
    if config.cluster.device != "cpu":
        wanted = settings.tensor_parallel * (settings.replicas or 1)
        here = visible_gpus()
        if wanted > (here or config.cluster.gpus_per_node):
            machine = "this machine" if here else f"a machine of cluster={config.cluster.name}"
            found.append(
                f"eval.replicas x eval.tensor_parallel = {wanted} engines' GPUs, "
                f"but {machine} has {here or config.cluster.gpus_per_node}"
            )
    return found


def _within(path: Path, root: Path) -> bool:
    return path.expanduser().absolute().is_relative_to(root)
