"""Tells that a command has ended: by a bell, or by a program of the user's (`notify=`)."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ...run.secrets import redacted, without_secrets
from ..display import console, say
from ..execution.pace import duration
from ..execution.stop import StageStopped

BELL = "bell"
_PATIENCE = 30.0  # seconds that the program may take


@contextmanager
def notified(
    how: str | None, command: str, run: str, environ: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Tells how the context ended; one that the user interrupted is not told.

    Args:
        how: `bell`, a program with arguments, or None for nothing.
        command: What ended.
        run: The run directory.
        environ: What the program gets, less every secret.
    """
    began = time.monotonic()
    try:
        yield
    except StageStopped:
        _tell(how, command, "saved and stopped, as asked", run, began, environ)
        raise
    except Exception as error:
        first = str(error).partition("\n")[0]
        _tell(how, command, f"failed ({first[:300]})", run, began, environ)
        raise
    _tell(how, command, "done", run, began, environ)


def _tell(
    how: str | None, command: str, outcome: str, run: str, began: float, environ: Mapping[str, str]
) -> None:
    if how is None:
        return
    if how == BELL:
        console.bell()
        return
    took = duration(time.monotonic() - began)
    sentence = redacted(f"funreason-train {command}: {outcome} after {took} in {run}", environ)
    try:
        # Words and not a line of shell: whatever a message holds, it stays one argument.
        subprocess.run(
            [*shlex.split(how), sentence],
            env=without_secrets(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        say(f"notify: the program did not work ({type(error).__name__}: {error})")
