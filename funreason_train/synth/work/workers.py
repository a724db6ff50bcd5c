"""Who makes the samples: this process, several on this machine, or a Ray cluster; the result is the same."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ...errors import UserError
from ...run.process import end_with_parent
from ..agents.make import make_agents
from .sample import Samples

Chunk = Sequence[int]
Made = list[dict[str, Any]]

CHUNK = 16  # samples that a worker makes at a time
_AHEAD = 2  # chunks a worker that are under way

_samples: dict[str, Samples] = {}


def make_chunk(key: str, packed: str, numbers: Chunk) -> Made:
    """Makes the samples of some numbers; what is prepared for a job is kept for the next chunk.

    Args:
        key: Tells jobs apart.
        packed: The job (see `Samples`) as JSON; its `agents` says who writes.
        numbers: Of the samples.
    """
    if key not in _samples:
        _samples.clear()
        job = json.loads(packed)
        _samples[key] = Samples(job, make_agents(job["agents"]))
    return [at_once(_samples[key].make(number)) for number in numbers]


def at_once(work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """What a coroutine returns that never waits; no event loop is needed for it."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return dict(end.value)
    raise RuntimeError("an offline agent has waited for something")


class Processes:
    """Makes chunks in order, in processes of this machine that stay for the length of the context.

    Args:
        processes: 1 makes everything here.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __call__(self, job: Mapping[str, Any], chunks: Iterable[Chunk]) -> Iterator[Made]:
        """Made by all processes; no process is started before there is a chunk.

        Args:
            job: See `Samples`; `key` tells jobs apart.
            chunks: Asked for one by one; the work ends when they do.
        """
        packed = json.dumps(dict(job))
        if self._processes == 1:
            for numbers in chunks:
                yield make_chunk(job["key"], packed, numbers)
            return

        def submit(numbers: Chunk) -> Future[Made]:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(
                    self._processes, context, initializer=_start, initargs=(os.getpid(),)
                )
            return self._pool.submit(make_chunk, job["key"], packed, numbers)

        yield from _ordered(chunks, submit, _result, self._processes)


def in_processes(job: Mapping[str, Any], chunks: Iterable[Chunk], processes: int) -> Iterator[Made]:
    """The same with processes that are ended after the job.

    Args:
        job: See `Processes`.
        chunks: As there.
        processes: As there.
    """
    with Processes(processes) as workers:
        yield from workers(job, chunks)


def on_ray(job: Mapping[str, Any], chunks: Iterable[Chunk], cpus: int) -> Iterator[Made]:
    """The same as Ray tasks; Ray is connected already.

    Args:
        job: See `Processes`.
        chunks: As there.
        cpus: Cores of the cluster, one a task.

    Raises:
        UserError: what a sample raises, and a worker that ended four times.
    """
    import ray
    from ray.exceptions import RayError

    task = ray.remote(num_cpus=1, max_retries=3)(make_chunk)
    held = ray.put(json.dumps(dict(job)))

    def result(call: Any) -> Made:
        try:
            return list(ray.get(call))
        except UserError:
            raise
        except RayError as error:
            raise UserError(
                f"the cluster could not make samples ({type(error).__name__}: "
                f"{' '.join(str(error).split())[-300:]})",
                fix="The same command goes on with what is finished",
            ) from None

    yield from _ordered(chunks, lambda numbers: task.remote(job["key"], held, numbers), result, cpus)


def _ordered(
    chunks: Iterable[Chunk], submit: Callable[[Chunk], Any], result: Callable[[Any], Made], workers: int
) -> Iterator[Made]:
    under_way: deque[Any] = deque()
    for numbers in chunks:
        under_way.append(submit(numbers))
        if len(under_way) >= _AHEAD * workers:
            yield result(under_way.popleft())
    while under_way:
        yield result(under_way.popleft())


def _result(future: Future[Made]) -> Made:
    try:
        return future.result()
    except BrokenProcessPool:
        raise UserError(
            "a process that made samples was ended, by a lack of memory or by a tool that ends its process",
            fix="The same command goes on with what is finished; synth.processes=1 takes the least memory",
        ) from None


def _start(parent: int) -> None:
    end_with_parent(parent)
