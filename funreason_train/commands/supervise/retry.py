"""Whether a stage that failed is started again, and when (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .failures.judge import Verdict
from .failures.kinds import Again

_CHANGING = re.compile(r"0x[0-9a-f]+|\d+", re.I)


@dataclass(frozen=True)
class Limits:
    """How patient the supervisor is.

    Attributes:
        retries: New starts without progress in between.
        wait_seconds: Before the first of them; each further one waits twice as long.
        most_wait_seconds: At most.
    """

    retries: int
    wait_seconds: float
    most_wait_seconds: float


@dataclass(frozen=True)
class Decision:
    """What is done after a failure.

    Attributes:
        wait: Seconds until the stage is started again; None if it is not.
        why: In a clause.
        number: Of the new start among those without progress in between, from 1.
        most: How many there may be.
    """

    wait: float | None
    why: str
    number: int = 0
    most: int = 0


class Patience:
    """Counts the failures of one stage in one command; progress since the last one wipes the slate clean."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tries = 0
        self._reached: int | None = None
        self._words = ""

    def after(self, verdict: Verdict, reached: int) -> Decision:
        """What to do after a failure.

        Args:
            verdict: What it was.
            reached: How far the stage is safe on disk: the step of the last verified checkpoint.
        """
        progress = self._reached is not None and reached > self._reached
        words = _CHANGING.sub("#", verdict.why)
        again = words == self._words and not progress
        if progress:
            self._tries = 0
        self._reached, self._words = reached, words
        if verdict.again is Again.NEVER:
            return Decision(None, f"it would fail again ({verdict.kind})")
        if again and verdict.again is Again.ONCE:
            return Decision(None, "it failed in the same way twice without progress in between")
        most = 1 if verdict.again is Again.ONCE else self._limits.retries
        most = min(most, self._limits.retries)
        if self._tries >= most:
            return Decision(None, f"it failed {_times(self._tries + 1)} without progress in between")
        self._tries += 1
        wait = self._limits.wait_seconds * 2 ** min(self._tries - 1, 30)
        since = "after progress since the last failure" if progress else "as such a failure can pass"
        return Decision(min(wait, self._limits.most_wait_seconds), since, self._tries, most)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
