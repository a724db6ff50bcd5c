"""One replica: `python -m funreason_train.evaluate.bfcl.replica JOB REPLICA REPLICAS`.

Plays every REPLICAS-th group of entries of each model (a memory scenario is one group, any other entry its
own) and appends each finished entry to `PARTS/replicaN.jsonl`. Ends when the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...dialogue import Message, render_prompt
from ...run.paths import write_json
from ..play import dump
from ..serve.encoding import PromptEncoder
from ..serve.engine import EngineOptions
from ..serve.generate import Sampling
from ..serve.worker import end_with_parent, load_tokenizer
from .client import HostClient
from .host import HostOptions
from .play import EngineFeed, Feed, QueueFeed, play_entries


@dataclass(frozen=True)
class Share:
    """What is left to do for one model.

    Attributes:
        name: The model's.
        path: Its HF folder.
        parts: Folder of its finished entries.
        groups: Ids of the entries still to be played, grouped by what must stay together, in order.
        max_model_tokens: What its context holds, at most the configured number.
    """

    name: str
    path: str
    parts: str
    groups: tuple[tuple[str, ...], ...]
    max_model_tokens: int


@dataclass(frozen=True)
class BfclJob:
    """What the replicas are told.

    Attributes:
        python: The interpreter of bfcl-eval's environment.
        host: How its host is set up; `memory` is each model's own.
        needs: Which entries must be finished before an entry begins.
        models: One after another.
        sampling: How completions are drawn; `max_model_tokens` is each model's own.
        engine: How vLLM is set up.
        concurrency: Most entries at a time in one replica.
        endpoint: An OpenAI completions server to use instead.
        served_name: What the endpoint calls the model.
    """

    python: str
    host: HostOptions
    needs: dict[str, list[str]]
    models: tuple[Share, ...]
    sampling: Sampling
    engine: EngineOptions
    concurrency: int
    endpoint: str | None
    served_name: str | None

    def dump(self) -> str:
        """The job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, path: Path) -> BfclJob:
        """The inverse of `dump`."""
        value = json.loads(path.read_text(encoding="utf-8"))
        value["host"] = HostOptions(**{**value["host"], "categories": tuple(value["host"]["categories"])})
        value["models"] = tuple(
            Share(**{**one, "groups": tuple(map(tuple, one["groups"]))}) for one in value["models"]
        )
        value["sampling"] = Sampling(**value["sampling"])
        value["engine"] = EngineOptions(**value["engine"])
        return cls(**value)


def main(arguments: list[str]) -> int:
    """Plays this replica's share; returns 0 when all of it is done."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    job, number, of = BfclJob.load(Path(arguments[0])), int(arguments[1]), int(arguments[2])
    for model in job.models:
        names = [name for group in model.groups[number::of] for name in group]
        if names:
            _play(job, model, names, number)
    return 0


def _play(job: BfclJob, model: Share, names: list[str], number: int) -> None:
    started = time.monotonic()
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sampling = replace(job.sampling, max_model_tokens=model.max_model_tokens)
    options = replace(job.host, memory=str(Path(model.parts) / "memory"))
    needs = {name: set(job.needs[name]) for name in names if name in job.needs}
    tokenizer: Any = load_tokenizer(model.path)

    encode = PromptEncoder(tokenizer)

    def render(messages: list[Message]) -> str:
        return render_prompt(messages, tokenizer)

    with HostClient(job.python, options, events) as host, _feed(job, model, events) as feed:
        loaded = time.monotonic()
        rows = play_entries(names, needs, host, feed, render, encode, sampling, job.concurrency)
        with (Path(model.parts) / f"replica{number}.jsonl").open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(dump(row))
                file.flush()
        isolation = host.hello["isolation"]
    seconds = {"load": loaded - started, "play": time.monotonic() - loaded}
    write_json(Path(model.parts) / f"replica{number}.seconds.json", seconds)
    print(f"{model.name}: {len(names)} entries, {seconds}, isolated by {isolation}", flush=True)


@contextmanager
def _feed(job: BfclJob, model: Share, events: queue.SimpleQueue[Any]) -> Iterator[Feed]:
    with contextlib.ExitStack() as stack:
        if job.endpoint:
            from ..serve.endpoint import EndpointGenerator

            generator = EndpointGenerator(job.endpoint, job.served_name, job.concurrency, events)
            yield QueueFeed(stack.enter_context(generator), events)
        else:
            from ..serve.engine import vllm_engine

            engine = replace(job.engine, max_model_tokens=model.max_model_tokens)
            yield EngineFeed(stack.enter_context(vllm_engine(model.path, engine)), events)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
