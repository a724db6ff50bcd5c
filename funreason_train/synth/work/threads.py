"""Samples whose agents are models: many at a time, each in a thread that waits most of its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ..agents.endpoint import Stopped
from .sample import Samples
from .workers import Chunk, Made, at_once

if TYPE_CHECKING:
    from ..agents.model import ModelAgents


def in_threads(
    job: Mapping[str, Any],
    chunks: Iterable[Chunk],
    agents: ModelAgents,
    most: int,
) -> Iterator[Made]:
    """Samples as they are finished, in whatever order; each with its `usage`.

    Where nothing more may be asked, what is finished comes out first.

    Args:
        job: See `Samples`.
        chunks: Asked for one by one; the work ends when they do.
        agents: Who write.
        most: Samples at a time.

    Raises:
        UserError: nothing more may be asked (the budget, the quota, a server that is gone).
    """
    samples = Samples(job, agents, apart=True)

    def one(number: int) -> dict[str, Any]:
        agents.take_usage(), agents.take_roles()
        found = at_once(samples.make(number))
        roles = {role: used.to_json() for role, used in sorted(agents.take_roles().items())}
        return {**found, "usage": agents.take_usage().to_json(), "roles": roles}

    numbers = chain.from_iterable(chunks)
    waiting: set[Future[dict[str, Any]]] = set()
    stopped: UserError | None = None
    with ThreadPoolExecutor(most, thread_name_prefix="sample") as pool:
        try:
            while True:
                while stopped is None and len(waiting) < most:
                    number = next(numbers, None)
                    if number is None:
                        break
                    waiting.add(pool.submit(one, number))
                if not waiting:
                    break
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                found: Made = []
                for future in done:
                    try:
                        found.append(future.result())
                    except Stopped as error:
                        stopped = stopped or error.error
                if found:
                    yield found
        except BaseException:
            agents.endpoint.abandon()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if stopped is not None:
        raise stopped
