"""Finds a stage that hangs: a process that says it is at work and does not come any further (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...run.beat import IDLE, Beat

#: A step may take so many times as long as the longest before it.
_FACTOR = 10.0


@dataclass(frozen=True)
class Hang:
    """A stage that hangs.

    Attributes:
        silent: The processes that have not come further, the one that is furthest behind first.
        seconds: How long the longest silence has lasted.
        limit: How long it might have.
    """

    silent: tuple[Beat, ...]
    seconds: float
    limit: float

    def __str__(self) -> str:
        first = self.silent[0]
        step = f" at step {first.step}" if first.step >= 0 else ""
        others = f", and {len(self.silent) - 1} more processes" if len(self.silent) > 1 else ""
        return (
            f"{first.who} ({first.phase}{step}) has not moved for {self.seconds:.0f} s, more than the "
            f"{self.limit:.0f} s that are allowed{others}"
        )


@dataclass
class _Seen:
    beat: Beat
    at: float
    longest: float = 0.0  # seconds between two of its signs


@dataclass
class Watch:
    """Compares what the processes say with what they said before.

    Args:
        hang_seconds: How long one may say the same.
        start_seconds: How long before its first step, while models are loaded and kernels compiled.
        began: When the stage began.
    """

    hang_seconds: float
    start_seconds: float
    began: float
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self, beats: Mapping[str, Beat], now: float) -> Hang | None:
        """Takes in the latest signs.

        Args:
            beats: Of each process.
            now: On the same clock as `began`.

        Returns:
            What hangs: a process at work that is silent for too long, or all of them; None if nothing does.
        """
        for who, beat in beats.items():
            seen = self._seen.get(who)
            if seen is None or seen.beat.pid != beat.pid or seen.beat.host != beat.host:
                self._seen[who] = _Seen(beat, now)
            elif seen.beat != beat:
                if seen.beat.phase != IDLE and seen.beat.step >= 0:
                    seen.longest = max(seen.longest, now - seen.at)
                seen.beat, seen.at = beat, now
        gone = [who for who in self._seen if who not in beats]
        for who in gone:
            del self._seen[who]
        return self._hang(now)

    def _hang(self, now: float) -> Hang | None:
        silent = [seen for seen in self._seen.values() if now - seen.at > self._limit(seen)]
        working = [seen for seen in silent if seen.beat.phase != IDLE]
        if not working and (not self._seen or len(silent) < len(self._seen)):
            return None  # those that wait for work do so while another one still moves
        # Those that wait for the one that hangs may have fallen silent a little before it.
        near = [
            seen
            for seen in self._seen.values()
            if seen.beat.phase != IDLE and now - seen.at > self._limit(seen) / 2
        ]
        chosen = sorted(near or silent, key=lambda seen: (seen.beat.step, seen.at))
        late = max(silent, key=lambda seen: now - seen.at)
        return Hang(tuple(seen.beat for seen in chosen), now - late.at, self._limit(late))

    def _limit(self, seen: _Seen) -> float:
        if seen.beat.step < 1 and seen.longest == 0.0:
            return max(self.start_seconds, self.hang_seconds)
        return max(self.hang_seconds, _FACTOR * seen.longest)
