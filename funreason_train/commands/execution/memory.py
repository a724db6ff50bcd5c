"""The peak memory of a process and all its descendants."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

_INTERVAL = 5.0  # seconds between samples; reading all processes takes CPU time from training


class PeakMemory:
    """Samples the proportional set size (PSS: shared pages counted once) of a process tree.

    Attributes:
        bytes: The highest sum seen so far; 0 where /proc does not tell.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._next = 0.0

    def sample(self) -> None:
        """Takes a sample if the last one is old enough."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL
        try:
            root = psutil.Process(self._pid)
            pids = [self._pid, *(child.pid for child in root.children(recursive=True))]
        except psutil.Error:
            return
        self.bytes = max(self.bytes, sum(map(_pss, pids)))


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # the process is gone, or the platform has no such file
    return 0
