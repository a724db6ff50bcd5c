"""Whether the processes that make and hold a step's samples still live (Ray).

verl hands the samples to agent workers and forgets the calls (AgentLoopManagerTQ.generate_sequences): when
such a process dies, nobody is told, and the trainer waits for its samples forever. The same goes for the
processes in which TransferQueue holds the samples, while agents still try to reach them.

Weights are worse: a training worker sends them through a socket, and if the rollout engine at its other end
is dead, the worker waits forever, and the trainer for the worker.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

_LOOK_SECONDS = 5.0
#: How long the trainer has to find out by itself, by a call that fails, which tells more than a dead process.
_OWN_WAY_SECONDS = 10.0
_INSIST_SECONDS = 2.0
_PATIENCE_SECONDS = 120.0


class Liveness:
    """Asks actors for a sign of life now and then, without waiting for a busy one.

    Args:
        actors: Ray's handles of them.
        every: Seconds between two looks.
    """

    def __init__(self, actors: Sequence[Any], every: float = _LOOK_SECONDS) -> None:
        self.actors, self.every = list(actors), every
        self._asked: dict[Any, Any] = {}  # the answer that is awaited -> the actor that owes it
        self._looked = float("-inf")

    def look(self) -> None:
        """Does nothing unless it is time to look again.

        Raises:
            RayActorError: if one of the actors is dead; Ray's sentence says why, as far as it knows.
        """
        import ray

        if time.monotonic() - self._looked < self.every:
            return
        self._looked = time.monotonic()
        owing = set(self._asked.values())
        self._asked |= {self._ask(actor): actor for actor in self.actors if actor not in owing}
        if not self._asked:
            return
        answered, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0.1)
        for answer in answered:
            del self._asked[answer]
            ray.get(answer)

    def _ask(self, actor: Any) -> Any:
        return actor.__ray_ready__.remote()


class _Thorough(Liveness):
    """Looks after the engine's own process behind a rollout server as well."""

    def _ask(self, actor: Any) -> Any:
        return actor.__ray_call__.remote(_well)


def _dead(error: Exception) -> bool:
    """Whether an answer says that a process has died, not that it cannot be reached or asked just now."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, RuntimeError) or (
        "RayActorError" in names and "ActorUnavailableError" not in names
    )


def _well(actor: Any) -> None:
    """Runs in the actor: whether the engine process that a server of vLLM has started still lives.

    Raises:
        RuntimeError: if it does not.
    """
    if getattr(getattr(actor, "engine", None), "errored", False) is True:
        raise RuntimeError("the process of the rollout engine has died")


class Watch:
    """Looks after processes beside the main thread, and ends its waiting for one that is dead.

    Used as a context by the main thread. Ray's calls have no end of their own where a process waits for
    another one that has died.

    Attributes:
        found: Why a process is dead; None as long as all live.
    """

    def __init__(
        self,
        every: float = _LOOK_SECONDS,
        own_way: float = _OWN_WAY_SECONDS,
        insist: float = _INSIST_SECONDS,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self.found: Exception | None = None
        self._every, self._own_way, self._insist, self._patience = every, own_way, insist, patience
        self._actors: list[Any] = []
        self._over = threading.Event()
        self._sending = threading.Lock()  # held while a signal is sent
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def add(self, actors: Sequence[Any]) -> None:
        """Looks after these as well."""
        self._actors = [*self._actors, *actors]

    def end(self) -> None:
        """Looks no more: from now on processes may be ended, and no signal of the watch reaches anybody."""
        while True:
            try:
                with self._sending:
                    self._over.set()
                return
            except KeyboardInterrupt:
                if self.found is None:  # not the watch's own
                    raise

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Ends the watch.

        Raises:
            RuntimeError: in place of the interruption that the watch itself has caused.
        """
        self.end()
        if self.found is not None and kind is not None and issubclass(kind, KeyboardInterrupt):
            raise RuntimeError(f"a process of the training has died: {self.found}") from self.found

    def _look(self) -> None:
        liveness = _Thorough([], every=0.0)
        while self.found is None:
            if self._over.wait(self._every):
                return
            liveness.actors = self._actors
            try:
                liveness.look()
            except Exception as error:
                self.found = error if _dead(error) else None
        self._interrupt()

    def _interrupt(self) -> None:
        if self._over.wait(self._own_way):
            return
        main, until = threading.main_thread().ident, time.monotonic() + self._patience
        while time.monotonic() < until:
            # Once is not enough: within asyncio the first only asks a task that is not at an `await`.
            with self._sending:
                if self._over.is_set():
                    return
                signal.pthread_kill(main or 0, signal.SIGINT)
            if self._over.wait(self._insist):
                return
        sys.stderr.write(f"a process of the training has died: {self.found}\n")
        sys.stderr.flush()
        os._exit(1)
