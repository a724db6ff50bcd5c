"""The peak memory of a process and all its descendants."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

#: Seconds between samples: reading all processes takes CPU time from training, and many stages are short.
_SHORTEST, _LONGEST = 0.5, 5.0


class PeakMemory:
    """Samples the proportional set size (PSS: shared pages counted once) of a process tree.

    Attributes:
        bytes: The highest sum seen so far; 0 where /proc does not tell.
        family: The descendants that lived at the last sample, those among them that have lost their parent.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self.family: set[psutil.Process] = set()
        self._pid = pid
        self._next = 0.0
        self._pause = _SHORTEST

    def sample(self, at_once: bool = False) -> None:
        """Takes a sample if the last one is old enough, or in any case."""
        if time.monotonic() < self._next and not at_once:
            return
        self._next = time.monotonic() + self._pause
        self._pause = min(_LONGEST, 1.2 * self._pause)
        try:
            children = psutil.Process(self._pid).children(recursive=True)
        except psutil.Error:
            return
        self.family = {one for one in self.family if one.is_running()} | set(children)
        self.bytes = max(self.bytes, sum(map(_pss, [self._pid, *(child.pid for child in children)])))


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # the process is gone, or the platform has no such file
    return 0
