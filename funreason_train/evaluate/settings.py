"""The section `eval`, and what is wrong with an evaluation before anything is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import model_validator

from ..cluster.profile import visible_gpus
from ..models import folder as models
from ..models.frameworks.known import family_problem
from ..run.paths import RunDir
from ..settings.section import (
    Count,
    ModelName,
    NotNegative,
    OneOf,
    Positive,
    Section,
    Seed,
    Share,
    ShareAboveZero,
    Text,
    wrong,
)
from ..settings.section import Path as PathText
from .attempts import Attempts
from .bfcl.categories import CATEGORIES, GROUPS
from .bfcl.versions import VERSIONS

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LONGEST_NAME = 200  # of a folder; the names of files beside it have a little more
_NAME = re.compile(r"[\w][\w.+-]*")


class Bfcl(Section):
    """What concerns benchmark=bfcl alone."""

    version: Annotated[str, OneOf(VERSIONS)]
    call_seconds: Positive
    memory_mib: Count
    unclosed: Literal["failed", "card"]


class Eval(Section):
    """configs/eval.yaml explains each key."""

    benchmark: Literal["heldout", "bfcl", "custom"]
    models: dict[str, ModelName] | Annotated[list[ModelName], MinLen(1)] | None
    tasks: PathText | None
    path: PathText | None
    limit: Count | None
    categories: Annotated[list[Annotated[str, OneOf((*GROUPS, *CATEGORIES))]], MinLen(1)]
    bfcl: Bfcl
    samples: Count
    pass_k: list[Count] | None
    seeds: Annotated[list[Seed], MinLen(1)] | None
    temperature: NotNegative
    top_p: ShareAboveZero
    max_tokens: Count
    max_model_tokens: Annotated[int, Ge(4), Le(2**31)]
    seed: Seed
    responses_per_turn: Count
    endpoint: Text | None
    served_name: Text | None
    replicas: Annotated[int, Ge(1), Le(1024)] | None
    tensor_parallel: Annotated[int, Ge(1), Le(1024)]
    concurrency: Count
    batched_tokens: Count
    block_size: Count | None
    kv_cache_gib: Positive | None
    gpu_memory: ShareAboveZero
    dtype: Literal["float32", "bfloat16", "float16", "auto"] | None
    eager: bool | None
    patience_seconds: Positive
    max_fault_share: Share

    @model_validator(mode="after")
    def _rules(self) -> Eval:
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise wrong("must be different numbers", keys=["seeds"])
        for k in self.pass_k or ():
            if k > self.samples:
                raise wrong(f"pass@{k} needs {k} samples of each task", f"Set eval.samples={k}", ["pass_k"])
        if (self.samples > 1 or len(self.seeds or ()) > 1) and self.temperature == 0:
            raise wrong(
                "eval.samples and eval.seeds would repeat greedy completions, which are all alike",
                "Set it above 0",
                ["temperature"],
            )
        return self


def problems(config: DictConfig, run: RunDir, later: bool) -> list[str]:
    """The stage's problems; with `later`, what lies in the run directory may be made by another stage."""
    settings = config.eval
    found = _model_problems(settings, run, later)
    if settings.benchmark != "bfcl":
        found += _file_problems(config, run, later)
    return found + _setting_problems(settings, config)


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
    places = ("heldout", "bfcl", "custom")
    results = {place for name in places for place in (run.eval_table(name), run.eval_failures(name))}
    if not settings.models:
        found.append("there is no model to evaluate; name one with model=DIR_OR_ID")
    for name, path in (settings.models or {}).items():
        if not _NAME.fullmatch(name):
            found.append(f"eval.models: '{name}' cannot name a folder; use letters, digits, dots and dashes")
        elif len(name.encode()) > _LONGEST_NAME:
            found.append(
                f"eval.models: the name '{name[:20]}…' has more than {_LONGEST_NAME} bytes; use a shorter one"
            )
        elif run.eval(name) in results:
            found.append(f"eval.models: '{name}' is a file of the results; use another name")
        if models.is_hub_id(path) or (later and run.holds(Path(path))):
            continue
        found += models.folder_problems(Path(path))
        if not settings.endpoint:  # which knows what it serves
            found += filter(None, [family_problem(Path(path), trained=False)])
    return found


def _file_problems(config: DictConfig, run: RunDir, later: bool) -> list[str]:
    settings, tasks = config.eval, task_file(config, run)
    if settings.benchmark == "heldout" and settings.path:
        return [
            "eval.path names tasks of one's own, which benchmark=custom plays; add that, or name tasks=FILE"
        ]
    if settings.benchmark == "heldout" and tasks.suffix == ".parquet":
        return [
            f"{tasks}: rows of an RL export are played with benchmark=custom path=FILE, not as eval.tasks"
        ]
    if settings.benchmark == "custom" and not settings.path:
        return ["benchmark=custom needs path=FILE: a .parquet of RL rows or a .jsonl of executable tasks"]
    if settings.benchmark == "custom" and tasks.suffix not in (".parquet", ".jsonl"):
        return [f"{tasks}: own tasks are a .parquet of RL rows or a .jsonl of executable tasks"]
    if tasks.is_file() or (later and run.holds(tasks)):
        return []
    if settings.benchmark == "custom":
        return [f"{tasks}: there is no such file (eval.path)"]
    return [
        f"{tasks}: there is no task file; run `funreason-train synth` in this run directory first, "
        "or name one with eval.tasks=FILE"
    ]


def _setting_problems(settings: DictConfig, config: DictConfig) -> list[str]:
    found = []
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
