"""The guard of a run directory where files cannot be locked (Lustre without `-o flock`, some NFS).

Making a folder is atomic everywhere, so whoever makes it holds the run directory. It says who that is and is
touched again and again; one whose holder is gone is put aside. Unlike a lock it is not inherited: processes
that a killed command leaves behind on another machine are not seen.
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BEAT = 20.0  # seconds between two touches
#: Seconds without a touch after which the holder, on another machine, counts as gone.
_PATIENCE = 180.0


@contextmanager
def guarded(folder: Path, beat: float = _BEAT, patience: float = _PATIENCE) -> Iterator[bool]:
    """Holds a folder, or yields False if somebody else does.

    Args:
        folder: What is made; its parent exists.
        beat: Seconds between two touches.
        patience: Seconds without a touch after which another machine's folder is left over.
    """
    if not _make(folder, patience):
        yield False
        return
    over = threading.Event()

    def touch() -> None:
        while not over.wait(beat):
            with suppress(OSError):
                os.utime(folder)

    threading.Thread(target=touch, daemon=True).start()
    try:
        yield True
    finally:
        over.set()
        shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path, patience: float) -> bool:
    for _ in range(2):
        with suppress(FileExistsError):
            folder.mkdir()
            (folder / "holder").write_text(f"{platform.node()} {os.getpid()}\n")
            return True
        if not _left_over(folder, patience):
            return False
        # Of several that find it left over, one can rename it.
        aside = folder.with_name(f"{folder.name}.{platform.node()}.{os.getpid()}")
        with suppress(OSError):
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
    return False


def _left_over(folder: Path, patience: float) -> bool:
    """Whether the holder is gone: its process on this machine, or its touch from another one."""
    try:
        host, _, pid = (folder / "holder").read_text().strip().partition(" ")
        if host == platform.node():
            return not alive(pid)
        # Both times are the file server's: the machines' clocks may differ.
        probe = folder.with_name(f".now.{platform.node()}.{os.getpid()}")
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - folder.stat().st_mtime > patience
    except OSError:  # made or removed at this moment
        time.sleep(0.1)
        return False


def alive(pid: str) -> bool:
    """Whether there is a process of this number on this machine."""
    if not pid.isdecimal():
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
    return True
