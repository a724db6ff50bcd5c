"""Work on chunks in several processes; results come in order, the same for any number of processes."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import TypeVar

from .process import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

# Rows make millions of objects and no cycles; looking for some took an eighth of the time.
_RARELY = (1_000_000, 50, 50)
BATCH = 64  # conversations sent to a worker at a time
_FEW = 3  # up to so many chunks are done here: starting processes would take longer


class Workers:
    """Processes that start with the first long piece of work and end with the context.

    Args:
        processes: How many; None for one a core that this process may use. 1 starts none.
        begin: What each of them does first, as this one has done already; picklable.
    """

    def __init__(self, processes: int | None = None, begin: Callable[[], None] | None = None) -> None:
        self._begin = begin
        self.processes = processes or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        self._threshold = gc.get_threshold()
        gc.set_threshold(*_RARELY)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.set_threshold(*self._threshold)
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Applies `function` to each item, in order; only a few items and results are held at a time.

        Args:
            function: Picklable, and so are items and results.
            items: Chunks of work, big enough to be worth sending.
        """
        items = iter(items)
        first = list(islice(items, _FEW + 1))
        if self.processes == 1 or len(first) <= _FEW:
            yield from map(function, first)
            yield from map(function, items)
            return
        if self._pool is None:
            # Not forked: a thread of an imported library may hold a lock at that moment.
            self._pool = ProcessPoolExecutor(
                self.processes,
                multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(os.getpid(), self._begin),
            )
        under_way: deque[Future[Result]] = deque()
        for some in (first, items):
            for item in some:
                under_way.append(self._pool.submit(function, item))
                if len(under_way) > 2 * self.processes:
                    yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _start(parent: int, begin: Callable[[], None] | None) -> None:
    """What a worker does first."""
    end_with_parent(parent)
    gc.set_threshold(*_RARELY)
    if begin is not None:
        begin()


def import_meanwhile(*modules: str) -> None:
    """Imports what will be needed while this process waits; who needs it then tells what failed."""

    def work() -> None:
        with suppress(Exception):
            for module in modules:
                importlib.import_module(module)

    threading.Thread(target=work).start()


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last one may be shorter."""
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk
