"""The held-out tasks and the user's own: from the settings to scores, a table and a page of the failures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dialogue import prompt_style
from ..environments import Task, make_environment, module_files, read_tasks
from ..environments.tasks import NotATask
from ..errors import Problem, UserError, refuse
from ..models.folder import context_of, local_folder
from ..pages.charts import Share
from ..pages.comparison import compare
from ..reward import check_options
from ..run.files import read_json, write_text
from ..run.fingerprint import digest_file
from ..run.paths import RunDir
from ..run.progress import report
from . import results
from .attempts import Attempts
from .browser import played_tasks, write_browser
from .custom import is_rows, read_own_tasks, read_rows, refuse_twins
from .job import Job, Model, fingerprint, model_fingerprint, served_as
from .serve.replicas import play_job
from .serve.serving import engine_options, replica_environments, sampling_of
from .settings import attempts_of, task_file

if TYPE_CHECKING:
    from omegaconf import DictConfig

_TITLES = {"heldout": "Held-out tasks done right", "custom": "Own tasks done right"}


@dataclass(frozen=True)
class _Plan:
    """What is to be played.

    Attributes:
        job: With what is still to be played.
        ids: The tasks, in order.
        attempts: How often each is played.
        prints: Each model's fingerprint.
    """

    job: Job
    ids: list[str]
    attempts: Attempts
    prints: dict[str, str]


def evaluate(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Plays the tasks with every model and writes `eval/NAME/{scores.json,episodes.jsonl,failures.jsonl}`,
    the table and the page of failures (`eval/NAME/custom/…` and `eval/custom.*` for own tasks).

    An episode depends on the model, the task file, the sampling and the rules; with any other of these it is
    played again.

    Returns:
        See `stage.run`.
    """
    path, benchmark = task_file(config, run), str(config.eval.benchmark)
    plan = _plan(config, run, path)
    job = plan.job
    report(0, None, "loading the model" if len(config.eval.models) == 1 else "loading the models")
    started = time.monotonic()
    if any(model.tasks for model in job.models):
        _play(config, run, job, len(plan.ids))
    provenance = {
        "benchmark": benchmark,
        "tasks_sha256": digest_file(path),
        "task_file": str(path),
        "sampling": asdict(job.sampling),
        "responses_per_turn": job.responses,
        "prompt_style": job.style,
    }
    everything = {
        name: _rows([model for model in job.models if model.name == name], plan.ids)
        for name in config.eval.models
    }
    broken = _broken(everything, plan.ids, float(config.eval.max_fault_share))
    scores, shown = {}, {}
    for name in config.eval.models:
        models = [model for model in job.models if model.name == name]
        played = everything[name]
        about = {
            "model": {"name": name, "path": models[0].path, "fingerprint": plan.prints[name]},
            "seconds": _seconds(models),
            "max_model_tokens": models[0].max_model_tokens,
        }
        folder = run.eval(name, benchmark)
        scores[name] = results.write(folder, played, plan.attempts, {**provenance, **about}, broken)
        judged = [[row for row in rows if row["id"] not in broken] for rows in played]
        shown[name] = played_tasks(judged, plan.attempts)
    verdicts = {name: results.verdicts(run.eval(name, benchmark) / "episodes.jsonl") for name in scores}
    table = compare(scores, verdicts, _TITLES[benchmark])
    write_text(run.eval_table(benchmark), table.markdown())
    shares = [Share(name, value["accuracy"], *value["ci95"]) for name, value in scores.items()]
    write_browser(run.eval_failures(benchmark), table.title, shown, shares, "../report.html")
    return {
        "models": {
            name: {key: value[key] for key in ("accuracy", "right", "tasks", "ci95")}
            for name, value in scores.items()
        },
        "shown": [table.to_json()],
        "table": str(run.eval_table(benchmark)),
        "failures": str(run.eval_failures(benchmark)),
        "play_seconds": round(time.monotonic() - started, 1),
        "headline": ", ".join(f"{name} {value['accuracy']:.1%}" for name, value in scores.items())
        + f" of {len(plan.ids) - len(broken)} tasks right; {run.eval_table(benchmark)}",
    }


def _broken(played: Mapping[str, Any], ids: Sequence[str], most: float) -> dict[str, str]:
    """The tasks whose environment failed with any model, and why.

    Raises:
        UserError: if there are so many that the others say little.
    """
    found: dict[str, str] = {}
    for rows in played.values():
        found |= results.faults(rows)
    if len(found) > most * len(ids):
        raise UserError(
            f"the environment failed in {len(found)} of {len(ids)} tasks (environment_faults), for example "
            f"{next(iter(found.values()))}",
            where="eval.max_fault_share",
            fix="See that what the environments need is there; the same command plays only these tasks again",
        )
    return found


def _rows(models: Sequence[Model], ids: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The finished episodes of each attempt, in the order of the tasks."""
    found = [results.finished(Path(model.parts)) for model in models]
    return [[rows[name] for name in ids] for rows in found]


def _ids(config: DictConfig, path: Path, reward: Mapping[str, Any]) -> list[str]:
    """The tasks to be played: all, or `limit` spread evenly over the file.

    Raises:
        UserError: if the file does not hold tasks.
    """
    tasks: Sequence[Any]
    if config.eval.benchmark == "custom":
        tasks = read_rows(path, reward) if is_rows(path) else read_own_tasks(path)
    else:
        tasks = _read(path)
    return [task.id for task in chosen(tasks, config.eval.limit)]


def flaws(config: DictConfig, path: Path) -> list[str]:
    """What is wrong inside a task file, as far as that shows without playing any, in a sentence."""
    try:
        if is_rows(path):
            read_rows(path, _reward(config))
        else:
            _read(path)
    except UserError as error:
        return [str(error)]
    return []


def _read(path: Path) -> list[Task]:
    try:
        tasks = list(read_tasks(path))
    except OSError as error:
        raise UserError(
            f"it cannot be read ({error.strerror})",
            where=str(path),
            fix="Name another file with eval.tasks=FILE",
        ) from None
    except NotATask as error:
        raise UserError(str(error), where=str(path), fix="Make the file again") from None
    if not tasks:
        raise UserError("there is no task in it", where=str(path), fix="Make the file again")
    refuse_twins(tasks, path)
    try:
        for name in {task.environment for task in tasks}:
            make_environment(name)
    except UserError as error:
        raise UserError(str(error), where=str(path)) from None
    return tasks


def chosen(tasks: Sequence[Any], limit: int | None) -> Sequence[Any]:
    """`limit` tasks spread evenly over the file, so that each category keeps its share."""
    if limit is None or limit >= len(tasks):
        return tasks
    return [tasks[number * len(tasks) // limit] for number in range(limit)]


def _plan(config: DictConfig, run: RunDir, path: Path) -> _Plan:
    settings = config.eval
    engine, sampling, attempts = engine_options(config), sampling_of(config), attempts_of(settings)
    reward = _reward(config) if is_rows(path) else {}
    ids = _ids(config, path, reward)
    job = Job(
        tasks=str(path),
        models=(),
        sampling=sampling,
        responses=int(settings.responses_per_turn),
        style=prompt_style(config.protocol),
        concurrency=engine.sequences,
        engine=engine,
        endpoint=settings.endpoint,
        reward=reward,
        modules=tuple(map(str, config.environment_modules)),
    )
    digest, prints, found = digest_file(path), {}, []
    environments = [digest_file(file) for file in module_files(config.environment_modules)]
    for name, named in settings.models.items():
        folder = local_folder(str(named))
        context = context_of(folder, sampling.max_model_tokens)
        prints[name] = model_fingerprint(folder)
        served = served_as(settings.endpoint, settings.served_name) if settings.endpoint else engine.dtype
        models = []
        for attempt in attempts.all:
            own = replace(sampling, max_model_tokens=context, seed=attempt.sampling_seed)
            key = fingerprint(prints[name], digest, own, job.rules, served, reward, environments)[:16]
            parts = run.eval(name, settings.benchmark) / "parts" / key
            results.take_over(parts, run.root / "eval")
            parts.mkdir(parents=True, exist_ok=True)
            results.end_last_line(parts)
            done = results.finished(parts)
            left = tuple((task,) for task in ids if task not in done or "fault" in done[task])
            models.append(Model(name, str(folder), str(parts), left, context, own.seed))
        found += _served(settings, models)
    return _Plan(replace(job, models=tuple(found)), ids, attempts, prints)


def _served(settings: DictConfig, models: list[Model]) -> list[Model]:
    """The attempts of one model with the name that the endpoint gives it, if it is needed."""
    if not settings.endpoint or not any(model.tasks for model in models):
        return models
    from .serve.endpoint import choose_served

    name = choose_served(settings.endpoint, settings.served_name, models[0].path)
    return [replace(model, served_name=name) for model in models]


def _reward(config: DictConfig) -> dict[str, Any]:
    """The options of the reward that gives the verdict on rows."""
    from omegaconf import OmegaConf

    options = OmegaConf.to_container(config.rl.reward, resolve=True)
    assert isinstance(options, dict)
    found = {str(key): value for key, value in options.items()}
    refuse(Problem(wrong, "rl.reward") for wrong in check_options(found))
    return found


def _play(config: DictConfig, run: RunDir, job: Job, tasks: int) -> None:
    """Runs the replicas on what is left, reporting progress."""
    left = max(len(model.groups) for model in job.models)
    variables = replica_environments(config, job.engine, 1 if job.endpoint else None, left)
    text = f"{tasks} tasks, {len(config.eval.models)} model{'s' if len(config.eval.models) > 1 else ''}"
    play_job(job, variables, run.latest_logs / "eval", float(config.eval.patience_seconds), text)


def _seconds(models: Sequence[Model]) -> dict[str, float]:
    """Load and play seconds of the slowest replica in the last attempt at it, summed over the attempts."""
    total = {"load": 0.0, "play": 0.0}
    for model in models:
        found = [read_json(path) for path in Path(model.parts).glob("*.seconds.json")]
        for key in total:
            total[key] += max((value[key] for value in found), default=0.0)
    return {key: round(value, 1) for key, value in total.items()}
