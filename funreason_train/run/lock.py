"""One command at a time in a run directory."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import UserError
from .paths import RunDir

#: How long the processes of a command that was killed may take to end, in seconds.
_ORPHANS_END = 60.0


@contextmanager
def locked(run: RunDir) -> Iterator[int]:
    """Holds the run directory; the processes of a stage inherit the lock, so an orphan still holds it.

    A command that was killed leaves orphans for a moment, which are waited for.

    Yields:
        The lock's file descriptor.

    Raises:
        UserError: if another command works in this run directory, or it cannot be written.
    """
    until = time.monotonic() + _ORPHANS_END
    with _opened(run.root) as file:
        while not _taken(file):
            file.seek(0)
            if _alive(file.read().strip()) or time.monotonic() > until:
                raise UserError(
                    "another process is working in this run directory",
                    where=str(run.root),
                    fix="Wait for it, or choose another place with run_dir=DIR",
                )
            time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()
        file.truncate(0)


def _opened(root: Path) -> IO[str]:
    """The file that is locked; a byte is written at its end, which a full disk does not take."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / ".lock").open("a+")
        try:
            file.write(" ")
            file.flush()
        except OSError:
            with suppress(OSError):
                file.close()
            raise
    except OSError as error:
        raise UserError(
            f"{platform.node()}: the run directory cannot be written ({error.strerror})",
            where=str(root),
            fix="Free some space, change its permissions, or choose another place with run_dir=DIR",
        ) from None
    return file


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
    return True
