"""What one replica does (`run.process`).

Plays every REPLICAS-th group of entries of each model (a memory scenario is one group, any other entry its
own) and appends each finished entry to `PARTS/replicaN.jsonl`.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...dialogue import Message, render_prompt
from ...run.files import write_json
from ..play import dump
from ..serve.encoding import PromptEncoder
from ..serve.engine import EngineOptions
from ..serve.generate import Sampling
from ..serve.worker import load_tokenizer
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

    def to_json(self) -> dict[str, Any]:
        """The job as JSON's types."""
        return asdict(self)

    @classmethod
    def of_json(cls, job: Mapping[str, Any]) -> BfclJob:
        """The inverse of `to_json`."""
        value = dict(job)
        value["host"] = HostOptions(**{**value["host"], "categories": tuple(value["host"]["categories"])})
        value["models"] = tuple(
            Share(**{**one, "groups": tuple(map(tuple, one["groups"]))}) for one in value["models"]
        )
        value["sampling"] = Sampling(**value["sampling"])
        value["engine"] = EngineOptions(**value["engine"])
        return cls(**value)


def play_replica(share: Mapping[str, Any]) -> None:
    """Plays this replica's share.

    Args:
        share: `job` (see `BfclJob.to_json`), `replica` (its number) and `replicas`.
    """
    job, number, of = BfclJob.of_json(share["job"]), int(share["replica"]), int(share["replicas"])
    for model in job.models:
        names = [name for group in model.groups[number::of] for name in group]
        if names:
            _play(job, model, names, number)


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
