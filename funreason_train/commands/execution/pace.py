"""How long a stage has taken and will still take (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...run.progress import Progress

#: Seconds over which the time left is estimated: single steps and long tasks vary.
_PERIOD = 600.0


@dataclass
class Pace:
    """Follows a stage's reports.

    Attributes:
        started: When the stage began, in seconds of the caller's clock.
    """

    started: float
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _total: int | None = None

    def left(self, report: Progress, now: float) -> float | None:
        """Seconds that are probably left, or None while nothing tells.

        Args:
            report: The latest.
            now: Of the caller's clock.
        """
        if report.total != self._total or (self._seen and report.done < self._seen[-1][1]):
            self._seen.clear()  # another phase, or another attempt
            self._total = report.total
        if report.total is None:
            return None
        if not self._seen or report.done > self._seen[-1][1]:
            self._seen.append((now, report.done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _PERIOD:
            self._seen.popleft()
        (since, before), (until, done) = self._seen[0], self._seen[-1]
        if done == before:
            return None
        each = (until - since) / (done - before)
        return max(0.0, each * (report.total - done) - (now - until))


def words(report: Progress | None, elapsed: float, left: float | None, end: str = "") -> str:
    """What a report comes to: `12 of 90 (13%), 0:02:03, about 0:13:20 left (15:07), loss 0.31`.

    It is short, so that the last figure stands within 80 columns.

    Args:
        report: The latest.
        elapsed: Seconds since the stage began.
        left: Seconds that are probably left; None while nothing tells.
        end: When it is expected to end, as `time_of_end` says it.
    """
    parts = [duration(elapsed)]
    if report is None:
        return ", ".join(["starting", *parts])
    if report.total:
        parts.insert(0, f"{report.done:,} of {report.total:,} ({report.done / report.total:.0%})")
    if left is not None:
        parts.append(f"about {duration(left)} left" + (f" ({end})" if end else ""))
    return ", ".join([*parts, report.text] if report.text else parts)


def time_of_end(left: float, now: datetime) -> str:
    """The time of day at which something ends that is `left` seconds away, with the day if it is another.

    Empty where there is no such date: steps without number are a way to say "until it is stopped".
    """
    try:
        end = now + timedelta(seconds=left)
    except OverflowError:
        return ""
    return f"{end:%H:%M}" if end.date() == now.date() else f"{end:%a %H:%M}"


def duration(seconds: float) -> str:
    """`H:MM:SS`."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
