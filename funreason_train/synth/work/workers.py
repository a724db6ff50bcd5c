"""Who makes the samples: this process, several on this machine, or a Ray cluster; the result is the same."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize
from typing import Any, NoReturn

from ...environments.sandbox.offspring import adopt, end_all
from ...errors import UserError
from ...run.process import end_with_parent
from ..agents.make import make_agents
from .guard import NOTE, note_steps
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
        apart: One process is another one as well, since a class of one's own may end what it works in.
    """

    def __init__(self, processes: int, apart: bool = False) -> None:
        self._processes, self._own, self._here = processes, apart, processes == 1 and not apart
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
        if self._here:
            for numbers in chunks:
                yield make_chunk(job["key"], packed, numbers)
            return

        def submit(numbers: Chunk) -> Future[Made]:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._notes = context.RawArray("c", NOTE * self._processes)
                told = (os.getpid(), self._own, self._notes, context.Value("i", 0))
                self._pool = ProcessPoolExecutor(self._processes, context, initializer=_start, initargs=told)
            return self._pool.submit(make_chunk, job["key"], packed, numbers)

        try:
            yield from _ordered(chunks, submit, lambda made: made.result(), self._processes)
        except BrokenProcessPool:  # told by whatever is asked next, a result or a place for a chunk
            raise _ended(bytes(memoryview(self._notes).cast("B"))) from None


def _ended(notes: bytes) -> UserError:
    """What is said where a process was ended, by the steps that were under way."""
    each = (notes[start : start + NOTE].rstrip(b"\0") for start in range(0, len(notes), NOTE))
    steps = sorted({one.decode(errors="replace") for one in each if one[:1] > b"\0"})
    return UserError(
        f"{' or '.join(steps)} ended a process that made samples, unless a lack of memory did"
        if steps
        else "a process that made samples was ended, by a lack of memory or by a tool that ends it",
        fix="Mend or leave out the tool; the same command goes on with what is finished, and "
        "synth.processes=1 takes the least memory",
    )


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


def _start(parent: int, own: bool, notes: Any, taken: Any) -> None:
    if own:
        adopt()
        signal.signal(signal.SIGTERM, lambda *_: _end())  # which is sent when the command is gone
        Finalize(None, _leave, exitpriority=-100)
    end_with_parent(parent)
    with taken.get_lock():
        place, taken.value = taken.value * NOTE, taken.value + 1
    note_steps(memoryview(notes).cast("B")[place : place + NOTE])


def _leave() -> None:
    """Ends this process once its work is done, without waiting for threads that a class has left behind."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    _end(0)


def _end(code: int = 128 + signal.SIGTERM) -> NoReturn:
    """Ends this process with all programs that a class has started in it."""
    end_all()
    os._exit(code)
