"""This process's end of a `host`: a session is one environment that lives there.

The host starts with the first session and ends with this process. Sessions that nobody uses for the moment
are kept, the most recent ones: what is dropped can be made again from its configuration and calls.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

# Bounds for what a legal call may cost; BFCL's own calls take microseconds.
_SECONDS = 5.0  # of processor time for one request
_WALL = 60.0  # on the clock
_MEMORY = 512  # MiB beyond what a fresh process has
_KEPT = 256  # sessions that wait for their next request; each is a process of about 2 MB
_REPOSITORY = Path(__file__).resolve().parents[3]  # what the host imports this package from
_GRACE = 10.0  # seconds beyond the host's own limit before a request is given up


class Session:
    """A connection to one environment's process.

    Args:
        connection: The connected socket.
        patience: Seconds to wait for an answer.
    """

    def __init__(self, connection: socket.socket, patience: float) -> None:
        connection.settimeout(patience)
        self._connection = connection
        self._answers = connection.makefile("rb")

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; `{"stopped": reason}` when there will be no further one."""
        with contextlib.suppress(OSError):  # if it has ended, what it last said is there to be read
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        try:
            line = self._answers.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            return {"stopped": "crash: the process that ran the calls is gone"}
        return dict(json.loads(line))

    def close(self) -> None:
        """Ends the environment's process."""
        self._answers.close()
        self._connection.close()


class Sessions:
    """The host of one process, and the sessions that wait.

    Args:
        seconds: Processor time that one request may take.
        wall: Seconds on the clock.
        memory: MiB that the calls of one session may add.
        kept: Most sessions that wait.
    """

    def __init__(
        self,
        seconds: float = _SECONDS,
        wall: float = _WALL,
        memory: int = _MEMORY,
        kept: int = _KEPT,
    ) -> None:
        self._limits: dict[str, float] = {"seconds": seconds, "wall": wall, "memory": memory}
        self._kept = kept
        self._lock = threading.RLock()  # an environment may be collected, and dropped, while we hold it
        self._waiting: OrderedDict[int, Session] = OrderedDict()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> int | None:
        """The host's process, once there is one."""
        return self._process.pid if self._process else None

    def open(self) -> Session:
        """A new session, in which nothing is loaded."""
        mine, theirs = socket.socketpair()
        with self._lock, theirs:
            try:
                self._hand_over(theirs)
            except OSError:  # the host is gone
                self._control = None
                self._hand_over(theirs)
        return Session(mine, self._limits["wall"] + _GRACE)

    def take(self, owner: int) -> Session | None:
        """The owner's session if it waits; it is the caller's until it is put back."""
        with self._lock:
            return self._waiting.pop(owner, None)

    def put(self, owner: int, session: Session) -> None:
        """Lets a session wait for its owner's next request; the one that waited longest may end for it."""
        surplus: list[Session] = []
        with self._lock:
            self._waiting[owner] = session
            while len(self._waiting) > self._kept:
                surplus.append(self._waiting.popitem(last=False)[1])
        for one in surplus:
            one.close()

    def drop(self, owner: int) -> None:
        """Ends the owner's session."""
        if (session := self.take(owner)) is not None:
            session.close()

    def forget(self) -> None:
        """Lets go of what a fork of a process has inherited: that one's sessions are not ours."""
        self._lock = threading.RLock()
        for session in self._waiting.values():
            session.close()
        self._waiting.clear()
        if self._control is not None:
            self._control.close()
        self._control = self._process = None

    def _hand_over(self, connection: socket.socket) -> None:
        if self._control is None:
            self._control = self._start()
        socket.send_fds(self._control, [b"\n"], [connection.fileno()])

    def _start(self) -> socket.socket:
        mine, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.host", json.dumps(self._limits)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_variables(),
                start_new_session=True,
            )
        return mine


def _variables() -> dict[str, str]:
    """The host's: no secret, and one order of every set."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH")))),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "UTC",
    }


SESSIONS = Sessions()
"""This process's."""

os.register_at_fork(after_in_child=SESSIONS.forget)
