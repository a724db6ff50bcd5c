"""The evaluation stage: one or several models do the same tasks, each served by vLLM.

funreason-train eval model=DIR run_dir=DIR
funreason-train eval benchmark=bfcl model=[BASE,SFT,RL] categories=[multi_turn]
funreason-train eval benchmark=custom path=FILE model=DIR
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..environments import loading_problems, module_files
from ..errors import refuse
from ..run.paths import RunDir
from ..run.stage import Decides, Stage, model_files
from .settings import problems, task_file

if TYPE_CHECKING:
    from omegaconf import DictConfig


def check(config: DictConfig, run: RunDir) -> list[str]:
    """Every problem that shows before a model is loaded, except what an earlier stage has yet to make."""
    found = [*loading_problems(config.environment_modules), *problems(config, run, later=True)]
    if found or config.eval.benchmark == "bfcl" or not task_file(config, run).is_file():
        return found
    from .tasks import flaws

    return flaws(config, task_file(config, run))


def _awaits(config: DictConfig, run: RunDir) -> list[str]:
    passed = problems(config, run, later=True)
    return [one for one in problems(config, run, later=False) if one not in passed]


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Runs the benchmark with every model; writes scores, failures, a table and a page of the failures.

    What is finished is kept: a second call goes on where the first one stopped.

    Returns:
        `models` (name to its figures), `table` and `failures` (paths) and `headline`.

    Raises:
        UserError: for everything that the user can fix.
        ReplicaFailed: if an engine crashed.
    """
    refuse([*loading_problems(config.environment_modules), *problems(config, run, later=False)])
    if config.eval.benchmark == "bfcl":
        from .bfcl.evaluation import evaluate

        return evaluate(config, run)
    from .tasks import evaluate as evaluate_tasks

    return evaluate_tasks(config, run)


def _reads(config: DictConfig, run: RunDir) -> list[Path]:
    """Models and tasks; BFCL's questions come with its package."""
    models = [file for path in config.eval.models.values() for file in model_files(path)]
    if config.eval.benchmark == "bfcl":
        return models
    return [task_file(config, run), *models, *module_files(config.environment_modules)]


def _makes(config: DictConfig, run: RunDir) -> list[Path]:
    scores = [run.eval(name, config.eval.benchmark) / "scores.json" for name in config.eval.models]
    return [run.eval_table(config.eval.benchmark), *scores]


def _unused(config: DictConfig) -> Iterator[str]:
    settings = config.eval
    if settings.benchmark == "bfcl":
        yield from ("eval.tasks", "eval.path", "eval.responses_per_turn", "environment_modules")
    else:
        yield from ("eval.bfcl.*", "eval.categories")
    yield "eval.tasks" if settings.benchmark == "custom" else "eval.path"
    rows = settings.path if settings.benchmark == "custom" else settings.tasks
    if settings.benchmark == "bfcl" or not str(rows).endswith(".parquet"):
        yield "rl.reward.*"  # which scores rows; a task is right if its environment says so
    if settings.seeds is not None:
        yield "eval.seed"
    yield from ("eval.dtype", "eval.eager") if settings.endpoint else ("eval.served_name",)


STAGE = Stage(
    name="eval",
    title="Evaluating",
    decides=Decides(
        ("protocol", "environment_modules", "eval", "rl.reward"),
        harmless=(
            "eval.replicas",
            "eval.tensor_parallel",
            "eval.concurrency",
            "eval.batched_tokens",
            "eval.block_size",
            "eval.kv_cache_gib",
            "eval.gpu_memory",
            "eval.patience_seconds",
            "eval.max_fault_share",
        ),
        unused=_unused,
    ),
    reads=_reads,
    makes=_makes,
    folder=lambda config, run: run.root / "eval",
    check=check,
    awaits=_awaits,
    run=run,
    again="beside",
)
