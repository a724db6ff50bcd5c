"""The evaluation stage: one or several models play the same tasks, each served by vLLM.

funreason-train eval model=DIR run_dir=DIR
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cluster.profile import available_cores
from ..environments import Task, read_tasks
from ..errors import UserError
from ..progress import report
from ..run.manifest import digest_file
from ..run.paths import RunDir, read_json, write_text
from . import models, results
from .engine import EngineOptions, environment
from .generate import Sampling
from .job import Job, Model, fingerprint, model_fingerprint
from .replicas import LineCounter, devices, run_replicas, worker_command
from .table import compare

if TYPE_CHECKING:
    from omegaconf import DictConfig

BENCHMARKS = ("heldout",)
_NAME = re.compile(r"[\w][\w.+-]*")


def check(config: DictConfig, run: RunDir) -> list[str]:
    """Every problem that shows before a model is loaded, except what an earlier stage has yet to make."""
    return _problems(config, run, later=True)


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Plays the tasks with every model and writes `eval/NAME/{scores.json,episodes.jsonl,failures.jsonl}`
    and `eval/table.md`.

    Finished episodes are kept: a second call goes on where the first one stopped. An episode depends on the
    model, the task file, the sampling and the rules; with any other of these it is played again.

    Returns:
        `models` (name to accuracy, right, tasks, ci95), `table` (its path) and `headline`.

    Raises:
        UserError: for everything that the user can mend.
        ReplicaFailed: if an engine crashed.
    """
    if found := _problems(config, run, later=False):
        raise UserError("; ".join(found))
    settings = config.eval
    path = _task_file(config, run)
    tasks = _chosen(_read(path), settings.limit)
    job, prints = _job(config, run, path, tasks)
    report(0, None, "loading the model" if len(job.models) == 1 else "loading the models")
    started = time.monotonic()
    if any(model.tasks for model in job.models):
        _play(config, run, job, len(tasks))
    provenance = {
        "benchmark": settings.benchmark,
        "tasks_sha256": digest_file(path),
        "task_file": str(path),
        "sampling": asdict(job.sampling),
        "responses_per_turn": job.responses,
        "prompt_style": job.style,
    }
    scores = {}
    for model in job.models:
        folder = run.eval(model.name)
        rows = results.finished(Path(model.parts))
        about = {
            "model": {"name": model.name, "path": model.path, "fingerprint": prints[model.name]},
            "seconds": _seconds(Path(model.parts)),
            "max_model_tokens": model.max_model_tokens,
        }
        scores[model.name] = results.write(folder, [rows[task.id] for task in tasks], {**provenance, **about})
    table = compare(scores, {name: results.verdicts(run.eval(name) / "episodes.jsonl") for name in scores})
    target = run.root / "eval" / "table.md"
    write_text(target, table.markdown())
    _print(table)
    return {
        "models": {
            name: {key: value[key] for key in ("accuracy", "right", "tasks", "ci95")}
            for name, value in scores.items()
        },
        "table": str(target),
        "play_seconds": round(time.monotonic() - started, 1),
        "headline": ", ".join(f"{name} {value['accuracy']:.1%}" for name, value in scores.items())
        + f" of {len(tasks)} tasks right; {target}",
    }


def _print(table: Any) -> None:
    from rich.console import Console

    Console().print(table.rich())


def _problems(config: DictConfig, run: RunDir, later: bool) -> list[str]:
    """The stage's problems; with `later`, what lies in the run directory may be made by another stage."""
    settings = config.eval
    if settings.benchmark not in BENCHMARKS:
        planned = (
            "; BFCL and tasks of your own are not built yet"
            if settings.benchmark in ("bfcl", "custom")
            else ""
        )
        return [f"there is no benchmark '{settings.benchmark}'; there is: {', '.join(BENCHMARKS)}{planned}"]
    found = []
    if not settings.models:
        found.append("there is no model to evaluate; name one with model=DIR_OR_ID")
    for name, path in (settings.models or {}).items():
        if not _NAME.fullmatch(name):
            found.append(f"eval.models: '{name}' cannot name a folder; use letters, digits, dots and dashes")
        if models.is_hub_id(path) or (later and _within(Path(path), run.root)):
            continue
        found += models.folder_problems(Path(path))
    tasks = _task_file(config, run)
    if not tasks.is_file() and not (later and _within(tasks, run.root)):
        found.append(
            f"{tasks}: there is no task file; run `funreason-train data` in this run directory first, "
            "or name one with eval.tasks=FILE"
        )
    found += _setting_problems(settings, config)
    if settings.endpoint and len(settings.models or {}) > 1:
        found.append("eval.endpoint serves one model; evaluate the models one after another")
    return found


def _setting_problems(settings: DictConfig, config: DictConfig) -> list[str]:
    found = [
        f"eval.{key}={settings[key]} must be at least 1"
        for key in ("max_tokens", "responses_per_turn", "concurrency", "tensor_parallel", "batched_tokens")
        if settings[key] < 1
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
    if config.cluster.device == "cpu" and settings.tensor_parallel > 1:
        found.append("eval.tensor_parallel splits a model over GPUs; on a CPU use eval.replicas")
    if config.cluster.device != "cpu":
        wanted = settings.tensor_parallel * (settings.replicas or 1)
        if wanted > config.cluster.gpus_per_node:
            found.append(
                f"eval.replicas x eval.tensor_parallel = {wanted} engines' GPUs, "
                f"but a machine of cluster={config.cluster.name} has {config.cluster.gpus_per_node}"
            )
    return found


def _within(path: Path, root: Path) -> bool:
    return path.expanduser().absolute().is_relative_to(root)


def _task_file(config: DictConfig, run: RunDir) -> Path:
    named = config.eval.tasks
    return Path(named).expanduser().absolute() if named else run.data / "tasks" / "heldout.jsonl"


def _read(path: Path) -> list[Task]:
    try:
        tasks = list(read_tasks(path))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"a line is not a task ({type(error).__name__}: {error})",
            where=str(path),
            mend="Make the file again",
        ) from None
    if not tasks:
        raise UserError("there is no task in it", where=str(path))
    if len({task.id for task in tasks}) < len(tasks):
        raise UserError("several tasks have the same id", where=str(path))
    return tasks


def _chosen(tasks: list[Task], limit: int | None) -> list[Task]:
    """`limit` tasks spread evenly over the file, so that each category keeps its share."""
    if limit is None or limit >= len(tasks):
        return tasks
    return [tasks[number * len(tasks) // limit] for number in range(limit)]


def _job(config: DictConfig, run: RunDir, path: Path, tasks: list[Task]) -> tuple[Job, dict[str, str]]:
    """The job, with what is still to be played, and each model's fingerprint."""
    settings, device = config.eval, str(config.cluster.device)
    on_cpu = device == "cpu"
    sampling = Sampling(
        temperature=float(settings.temperature),
        top_p=float(settings.top_p),
        max_tokens=int(settings.max_tokens),
        max_model_tokens=int(settings.max_model_tokens),
        seed=int(settings.seed),
    )
    gib = settings.kv_cache_gib or (1 if on_cpu else None)
    engine = EngineOptions(
        device=device,
        dtype=settings.dtype or ("float32" if on_cpu else "auto"),
        tensor_parallel=int(settings.tensor_parallel),
        sequences=int(settings.concurrency),
        batched_tokens=int(settings.batched_tokens),
        block_size=settings.block_size or (32 if on_cpu else None),
        kv_cache_bytes=int(gib * 2**30) if gib else None,
        gpu_memory=float(settings.gpu_memory),
        eager=on_cpu if settings.eager is None else bool(settings.eager),
        max_model_tokens=sampling.max_model_tokens,
        seed=sampling.seed,
    )
    job = Job(
        tasks=str(path),
        models=(),
        sampling=sampling,
        responses=int(settings.responses_per_turn),
        style=config.protocol.system,
        concurrency=engine.sequences,
        engine=engine,
        endpoint=settings.endpoint,
    )
    digest, prints, found = digest_file(path), {}, []
    for name, named in settings.models.items():
        folder = _local(str(named))
        context = models.context_of(folder, sampling.max_model_tokens)
        prints[name] = model_fingerprint(folder)
        own = replace(sampling, max_model_tokens=context)
        served = f"endpoint {settings.endpoint}" if settings.endpoint else engine.dtype
        parts = run.eval(name) / "parts" / fingerprint(prints[name], digest, own, job.rules, served)[:16]
        parts.mkdir(parents=True, exist_ok=True)
        results.mend_parts(parts)
        done = results.finished(parts)
        left = tuple(task.id for task in tasks if task.id not in done)
        found.append(Model(name, str(folder), str(parts), left, context))
    if settings.endpoint:
        from .endpoint import choose_served

        job = replace(job, served_name=choose_served(settings.endpoint, settings.served_name, found[0].path))
    return replace(job, models=tuple(found)), prints


def _local(path: str) -> Path:
    """The model's folder; a hub id is downloaded, its weights as safetensors only."""
    if not models.is_hub_id(path):
        return Path(path).expanduser().absolute()
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(path, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"])
        )
    except Exception as error:
        raise UserError(
            f"the model cannot be fetched ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=path,
            mend="Give a local folder, or check the name, the network and the access token",
        ) from None
    if found := models.folder_problems(folder):
        raise UserError("; ".join(found))
    return folder


def _play(config: DictConfig, run: RunDir, job: Job, tasks: int) -> None:
    """Runs the replicas on what is left, reporting progress."""
    device, cluster = str(config.cluster.device), config.cluster
    left = max(len(model.tasks) for model in job.models)
    if job.endpoint:
        replicas = 1
    elif device == "cpu":
        replicas = min(config.eval.replicas or available_cores(), left)
    else:
        replicas = min(config.eval.replicas or cluster.gpus_per_node // job.engine.tensor_parallel, left)
    shared = environment(job.engine, max(1, available_cores() // replicas))
    shared |= {key: str(value) for key, value in cluster.env.items()}
    variables: list[Mapping[str, str]] = [shared] * replicas
    if device != "cpu" and not job.endpoint:
        import os

        named = devices(os.environ, cluster.gpus_per_node, replicas, job.engine.tensor_parallel)
        variables = [{**shared, "CUDA_VISIBLE_DEVICES": name} for name in named]
    file = run.root / "eval" / "job.json"
    write_text(file, job.dump() + "\n")
    counter = LineCounter([Path(model.parts) for model in job.models])
    total = sum(len(model.tasks) for model in job.models)
    before = counter.update()

    def moved() -> int:
        done = counter.update() - before
        report(done, total, f"{tasks} tasks, {len(job.models)} model{'s' if len(job.models) > 1 else ''}")
        return done

    run.logs.mkdir(parents=True, exist_ok=True)
    run_replicas(
        worker_command(file),
        variables,
        lambda number: run.logs / f"eval.replica{number}.log",
        moved,
        float(config.eval.patience_seconds),
    )


def _seconds(parts: Path) -> dict[str, float]:
    """Load and play seconds of the slowest replica in the last attempt."""
    found = [read_json(path) for path in parts.glob("*.seconds.json")]
    return {key: round(max((value[key] for value in found), default=0.0), 1) for key in ("load", "play")}
