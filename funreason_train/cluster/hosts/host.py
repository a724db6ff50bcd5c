"""What a rehearsal asks of a host: to run a command, to go down, to come back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

#: The variable by which the processes of a host are found again; the launch scripts pass FUNREASON_* on.
MARK = "FUNREASON_REHEARSAL_HOST"


class HostsError(Exception):
    """A host could not be made or did not answer; the message says which command failed and how."""


class Host(Protocol):
    """One machine of a rehearsal.

    Attributes:
        rank: From 0 on.
        name: As its processes see it.
        address: Its IPv4 address.
    """

    rank: int
    name: str
    address: str

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Starts a command there.

        Args:
            command: The program and its arguments.
            environment: All of its variables.
            log: Where its output is appended.
        """

    def power_off(self) -> None:
        """Ends every process of the host at once, unsaid, and waits until they are gone."""

    def power_on(self) -> None:
        """Makes the host usable again after `power_off`."""


def run_program(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own, its output appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )


def marked(mark: str) -> list[int]:
    """The processes whose environment holds `MARK=mark`; those of other users cannot be seen and are left."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def end_marked(mark: str, patience: float = 10.0) -> None:
    """Kills the marked processes until none is left, those that are started meanwhile included.

    Raises:
        HostsError: if some cannot be ended.
    """
    deadline = time.monotonic() + patience
    while left := marked(mark):
        if time.monotonic() > deadline:
            raise HostsError(f"processes {', '.join(map(str, left))} do not end")
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
