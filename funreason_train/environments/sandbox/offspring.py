"""What a process and those that it started have started in their turn, so that none of it outlives them.

A class may start programs and never end them, or detach them. On Linux, whoever adopts gets what its own
children leave behind as children of its own, detached or not, and can end it. Elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt() -> None:
    """From now on, what a process below this one leaves behind is a child of this one."""
    if sys.platform == "linux":
        zero = ctypes.c_ulong(0)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), zero, zero, zero)


def children() -> set[int]:
    """The processes whose parent this one is, ended ones that nobody has waited for included."""
    found: set[int] = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread is gone
            found.update(map(int, listed.read_text().split()))
    return found


def end(processes: Iterable[int]) -> None:
    """Ends processes at once; what they have started becomes a child of whoever adopts."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def end_all(seconds: float = 2.0) -> None:
    """Ends everything below this process, which has adopted it, and waits for so long."""
    until = time.monotonic() + seconds
    while (left := children()) and time.monotonic() < until:
        end(left)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)
