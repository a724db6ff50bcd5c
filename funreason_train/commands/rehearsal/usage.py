"""Processor time and memory of the processes of a rehearsal."""

from __future__ import annotations

import os

import psutil

from ..execution.memory import PeakMemory


class Usage:
    """What this process and its descendants take from now on."""

    def __init__(self) -> None:
        self._memory = PeakMemory(os.getpid())
        self._before = _cpu_seconds()

    @property
    def peak_bytes(self) -> int:
        """The most memory at a sample."""
        return self._memory.bytes

    def sample(self) -> None:
        """Looks at the memory, if the last look was long enough ago."""
        self._memory.sample()

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        return _cpu_seconds() - self._before


def _cpu_seconds() -> float:
    """Of all descendants, those that have ended included: whoever waits for one takes its time over."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
