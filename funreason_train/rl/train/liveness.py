"""Whether the processes that make and hold a step's samples still live (Ray).

verl hands the samples to agent workers and forgets the calls (AgentLoopManagerTQ.generate_sequences): when
such a process dies, nobody is told, and the trainer waits for its samples forever. The same goes for the
processes in which TransferQueue holds the samples, while agents still try to reach them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any


class Liveness:
    """Asks actors for a sign of life now and then, without waiting for a busy one.

    Args:
        actors: Ray's handles of them.
        every: Seconds between two looks.
    """

    def __init__(self, actors: Sequence[Any], every: float = 5.0) -> None:
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
        self._asked |= {actor.__ray_ready__.remote(): actor for actor in self.actors if actor not in owing}
        answered, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0.1)
        for answer in answered:
            del self._asked[answer]
            ray.get(answer)
