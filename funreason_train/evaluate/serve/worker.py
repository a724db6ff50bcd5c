"""What one replica does (`run.process`).

Plays every REPLICAS-th task of each model, one model after another in one process, and appends each
finished episode to `PARTS/replicaN.jsonl`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ...dialogue import Message, render_prompt
from ...environments import load_environments, read_tasks
from ...run.files import write_json
from ..custom import is_rows, play_rows, read_rows
from ..heldout import play_tasks
from ..job import Job, Model
from ..play import dump
from .generate import Generator


def play_replica(share: Mapping[str, Any]) -> None:
    """Plays this replica's share.

    Args:
        share: `job` (see `Job.to_json`), `replica` (its number) and `replicas`.
    """
    job, number, of = Job.of_json(share["job"]), int(share["replica"]), int(share["replicas"])
    load_environments(job.modules)
    play_share = _player(job)
    shares = [replace(model, tasks=model.tasks[number::of]) for model in job.models]
    attempts = (model for model in shares if model.tasks)
    for _, same in groupby(attempts, key=lambda model: (model.path, model.served_name)):
        models = list(same)
        started = time.monotonic()
        with _generator(job, models[0]) as generator:
            loaded = time.monotonic()
            tokenizer = load_tokenizer(models[0].path)
            for model in models:
                began = time.monotonic()
                with (Path(model.parts) / f"replica{number}.jsonl").open("a", encoding="utf-8") as file:
                    for row in play_share(model, generator, tokenizer):
                        file.write(dump(row))
                        file.flush()
                seconds = {"load": loaded - started, "play": time.monotonic() - began}
                write_json(Path(model.parts) / f"replica{number}.seconds.json", seconds)
                print(f"{model.name}, seed {model.seed}: {len(model.tasks)} tasks, {seconds}", flush=True)


def _player(job: Job) -> Callable[[Model, Generator, Any], Iterator[dict[str, Any]]]:
    """A function that plays one model's share of the job's tasks."""
    path = Path(job.tasks)
    own = is_rows(path)
    found: Iterable[Any] = read_rows(path, job.reward) if own else read_tasks(path)
    tasks = {task.id: task for task in found}

    def play_share(model: Model, generator: Generator, tokenizer: Any) -> Iterator[dict[str, Any]]:
        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
            return ids

        def render(messages: list[Message]) -> str:
            return render_prompt(messages, tokenizer)

        share = [tasks[name] for name in model.tasks]
        sampling = replace(job.sampling, max_model_tokens=model.max_model_tokens, seed=model.seed)
        if own:
            return play_rows(share, generator, render, encode, sampling, job.reward, job.concurrency)
        return play_tasks(share, generator, render, encode, sampling, job.rules, job.concurrency)

    return play_share


@contextmanager
def _generator(job: Job, model: Model) -> Iterator[Generator]:
    if job.endpoint:
        from .endpoint import EndpointGenerator

        with EndpointGenerator(job.endpoint, model.served_name, job.concurrency) as generator:
            yield generator
    else:
        from .engine import vllm_engine

        with vllm_engine(model.path, replace(job.engine, max_model_tokens=model.max_model_tokens)) as engine:
            yield engine


def load_tokenizer(path: str) -> object:
    """The tokenizer of a model folder, running none of the folder's code."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
