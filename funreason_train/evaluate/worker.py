"""One replica: `python -m funreason_train.evaluate.worker JOB REPLICA REPLICAS`.

Plays every REPLICAS-th task of each model, one model after another in one process, and appends each
finished episode to `PARTS/replicaN.jsonl`. Ends when the process that started it is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..dialogue import Message, render_prompt
from ..environments import read_tasks
from ..run.paths import write_json
from .generate import Generator
from .heldout import dump, play_tasks
from .job import Job, Model


def main(arguments: list[str]) -> int:
    """Plays this replica's share; returns 0 when all of it is done."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job, number, of = Job.load(Path(arguments[0])), int(arguments[1]), int(arguments[2])
    tasks = {task.id: task for task in read_tasks(Path(job.tasks))}
    for model in job.models:
        share = [tasks[name] for name in model.tasks[number::of]]
        if not share:
            continue
        started = time.monotonic()
        with _generator(job, model) as generator:
            loaded = time.monotonic()
            tokenizer = _tokenizer(model.path)

            def encode(text: str, tokenizer: object = tokenizer) -> list[int]:
                ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids  # type: ignore[operator]
                return ids

            def render(messages: list[Message], tokenizer: object = tokenizer) -> str:
                return render_prompt(messages, tokenizer)

            sampling = replace(job.sampling, max_model_tokens=model.max_model_tokens)
            rows = play_tasks(share, generator, render, encode, sampling, job.rules, job.concurrency)
            with (Path(model.parts) / f"replica{number}.jsonl").open("a", encoding="utf-8") as file:
                for row in rows:
                    file.write(dump(row))
                    file.flush()
        seconds = {"load": loaded - started, "play": time.monotonic() - loaded}
        write_json(Path(model.parts) / f"replica{number}.seconds.json", seconds)
        print(f"{model.name}: {len(share)} tasks, {seconds}", flush=True)
    return 0


@contextmanager
def _generator(job: Job, model: Model) -> Iterator[Generator]:
    if job.endpoint:
        from .endpoint import EndpointGenerator

        with EndpointGenerator(job.endpoint, job.served_name, job.concurrency) as generator:
            yield generator
    else:
        from .engine import vllm_engine

        with vllm_engine(model.path, replace(job.engine, max_model_tokens=model.max_model_tokens)) as engine:
            yield engine


def _tokenizer(path: str) -> object:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def _end_with_parent() -> None:
    """Our standard input is a pipe that nothing is written to: it ends with the process that holds it."""
    os.read(0, 1)
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
