"""What one replica does (`run.process`).

Plays every REPLICAS-th group of tasks of each model, one model after another in one process, and appends
each finished task to `PARTS/replicaN.jsonl`.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ...dialogue import Message, render_prompt
from ...dialogue.parts import PartEncoder
from ...environments import load_environments, read_tasks
from ...run.files import write_json
from ..bfcl.game import BfclGame
from ..custom import RowGame, is_rows, read_rows
from ..heldout import EpisodeGame
from ..job import Job, Model
from ..play import Game, dump, play
from .generate import Generator

Games = Callable[[Model, "queue.SimpleQueue[Any]"], "Iterator[list[Game]]"]


def play_replica(share: Mapping[str, Any]) -> None:
    """Plays this replica's share.

    Args:
        share: `job` (see `Job.to_json`), `replica` (its number) and `replicas`.
    """
    job, number, of = Job.of_json(share["job"]), int(share["replica"]), int(share["replicas"])
    load_environments(job.modules)
    games_of = contextmanager(_bfcl(job) if job.bfcl else _tasks(job))
    attempts = (model for one in job.models if (model := one.share(number, of)).groups)
    for _, same in groupby(attempts, key=lambda model: (model.path, model.served_name)):
        models = list(same)
        started = time.monotonic()
        messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with _generator(job, models[0], messages) as generator:
            loaded = time.monotonic()
            tokenizer: Any = load_tokenizer(models[0].path)
            encode = PartEncoder(tokenizer)

            def render(conversation: list[Message], tokenizer: Any = tokenizer) -> str:
                return render_prompt(conversation, tokenizer)

            for model in models:
                began = time.monotonic()
                sampling = replace(job.sampling, max_model_tokens=model.max_model_tokens, seed=model.seed)
                file = Path(model.parts) / f"replica{number}.jsonl"
                with games_of(model, messages) as games, file.open("a", encoding="utf-8") as out:
                    needs = job.bfcl.needs if job.bfcl else {}
                    for row in play(
                        games, generator, render, encode, sampling, job.concurrency, messages, needs
                    ):
                        out.write(dump(row))
                        out.flush()
                seconds = {"load": loaded - started, "play": time.monotonic() - began}
                write_json(Path(model.parts) / f"replica{number}.seconds.json", seconds)
                print(f"{model.name}, seed {model.seed}: {len(model.tasks)} tasks, {seconds}", flush=True)


def _tasks(job: Job) -> Games:
    """The games of a file of tasks."""
    path = Path(job.tasks)
    rows = is_rows(path)
    found: Iterable[Any] = read_rows(path, job.reward) if rows else read_tasks(path)
    tasks = {task.id: task for task in found}

    def games(model: Model, messages: queue.SimpleQueue[Any]) -> Iterator[list[Game]]:
        share = [tasks[name] for name in model.tasks]
        if rows:
            yield [RowGame(row, job.reward) for row in share]
        else:
            yield [EpisodeGame(task, job.rules) for task in share]

    return games


def _bfcl(job: Job) -> Games:
    """BFCL's entries, in a host of each model's own."""
    bfcl = job.bfcl
    assert bfcl is not None

    def games(model: Model, messages: queue.SimpleQueue[Any]) -> Iterator[list[Game]]:
        with bfcl.host(str(Path(model.parts) / "memory"), messages) as host:
            print(f"{model.name}: calls are isolated by {host.hello['isolation']}", flush=True)
            yield [BfclGame(name, host) for name in model.tasks]

    return games


@contextmanager
def _generator(job: Job, model: Model, messages: queue.SimpleQueue[Any]) -> Iterator[Generator]:
    if job.endpoint:
        from .endpoint import EndpointGenerator

        with EndpointGenerator(job.endpoint, model.served_name, job.concurrency, messages) as generator:
            yield generator
    else:
        from .engine import vllm_engine

        with vllm_engine(model.path, replace(job.engine, max_model_tokens=model.max_model_tokens)) as engine:
            yield engine


def load_tokenizer(path: str) -> object:
    """The tokenizer of a model folder, running none of the folder's code."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
