"""Who makes the samples: this process, several on this machine, or a Ray cluster; the result is the same."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from ...run.process import end_with_parent
from ..agents.make import make_agents
from .sample import Samples

Chunk = Sequence[int]
Made = list[dict[str, Any]]

CHUNK = 16  # samples that a worker makes at a time
_AHEAD = 2  # chunks a worker that are under way

_samples: dict[str, Samples] = {}


def make_chunk(job: Mapping[str, Any], numbers: Chunk) -> Made:
    """Makes the samples of some numbers; what is prepared for a job is kept for the next chunk.

    Args:
        job: See `Samples`; `key` tells jobs apart, `agents` says who writes.
        numbers: Of the samples.
    """
    if job["key"] not in _samples:
        _samples.clear()
        _samples[job["key"]] = Samples(job, make_agents(job["agents"]))
    samples = _samples[job["key"]]
    if job["agents"]["kind"] == "offline":
        return [at_once(samples.make(number)) for number in numbers]
    return asyncio.run(_together(samples, numbers))


def at_once(work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """What a coroutine returns that never waits; no event loop is needed for it."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return dict(end.value)
    raise RuntimeError("an offline agent has waited for something")


async def _together(samples: Samples, numbers: Chunk) -> Made:
    return list(await asyncio.gather(*map(samples.make, numbers)))


def in_processes(job: Mapping[str, Any], chunks: Iterable[Chunk], processes: int) -> Iterator[Made]:
    """Chunks in order, made by processes of this machine.

    Args:
        job: See `make_chunk`.
        chunks: Asked for one by one; the work ends when they do.
        processes: 1 makes everything here.
    """
    if processes == 1:
        for numbers in chunks:
            yield make_chunk(job, numbers)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start, initargs=(os.getpid(),)) as pool:
        yield from _ordered(chunks, lambda numbers: pool.submit(make_chunk, job, numbers), _result, processes)


def on_ray(job: Mapping[str, Any], chunks: Iterable[Chunk], cpus: int) -> Iterator[Made]:
    """The same as Ray tasks; Ray is connected already.

    Args:
        job: See `make_chunk`.
        chunks: As in `in_processes`.
        cpus: Cores of the cluster, one a task.
    """
    import ray

    task = ray.remote(num_cpus=1, max_retries=3)(make_chunk)
    held = ray.put(dict(job))
    yield from _ordered(chunks, lambda numbers: task.remote(held, numbers), ray.get, cpus)


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
    return future.result()


def _start(parent: int) -> None:
    end_with_parent(parent)
