"""The lock of a run directory: a file that the processes of a stage inherit."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from ...errors import UserError
from ..files import unwritable
from ..paths import RunDir
from .by_folder import alive, guarded

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
    with _opened(run.root) as file, ExitStack() as guards:
        try:
            while not _taken(file):
                file.seek(0)
                if alive(file.read().strip()) or time.monotonic() > until:
                    raise _busy(run)
                time.sleep(0.2)
        except _NoLocks:
            print(
                f"{run.root} lies on a file system without locks (Lustre without -o flock, some NFS); a "
                "folder guards it instead, which does not see the processes that a killed command leaves",
                file=sys.stderr,
            )
            if not guards.enter_context(guarded(run.root / ".lock.folder")):
                raise _busy(run) from None
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
        raise unwritable(root, error) from None
    return file


class _NoLocks(Exception):
    """The file system has no locks."""


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # ENOSYS, EOPNOTSUPP or ENOLCK, as the file system likes
        raise _NoLocks from error
    return True


def _busy(run: RunDir) -> UserError:
    return UserError(
        "another process is working in this run directory",
        where=str(run.root),
        fix="Wait for it, or choose another place with run_dir=DIR",
    )
