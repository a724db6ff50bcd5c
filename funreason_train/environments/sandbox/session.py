"""The other end of a `host`: starts its process, opens sessions in it and asks them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .limits import CallLimits

GONE = "crash: the process that ran the calls is gone"
_HOST = f"{__package__}.host"
_REPOSITORY = Path(__file__).resolve().parents[3]  # what the host imports this package from
_GRACE = 10.0  # seconds beyond the host's own limit before a request is given up


class Session:
    """A connection to one session's process.

    Args:
        connection: The connected socket.
        patience: Seconds that an answer may take.
    """

    def __init__(self, connection: socket.socket, patience: float) -> None:
        self.connection = connection
        self.wait(patience)
        self._answers = connection.makefile("rb")

    def wait(self, patience: float) -> None:
        """Sets the seconds that an answer may take; it is waited for a little longer."""
        self.connection.settimeout(patience + _GRACE)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request; `{"stopped": reason}` when there will be no further one.

        Raises:
            ValueError: JSON does not hold the request.
        """
        self.send(request)
        try:
            line = self._answers.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            return {"stopped": GONE}
        return dict(json.loads(line))

    def send(self, request: Mapping[str, Any]) -> None:
        """Sends a request whose answer somebody else reads."""
        with contextlib.suppress(OSError):  # if it has ended, what it last said is there to be read
            self.connection.sendall(json.dumps(request).encode() + b"\n")

    def close(self) -> None:
        """Ends the session's process."""
        self._answers.close()
        self.connection.close()


class Sandbox:
    """A host process, which starts with its first session and ends with this one.

    Args:
        work: What its sessions do, `package.module:name`; see `host`.
        options: What that is told.
        limits: Of each session.
        python: The interpreter that runs it.
        variables: Of its environment, besides those that any program needs; no others are handed on.
    """

    def __init__(
        self,
        work: str,
        options: Mapping[str, Any],
        limits: CallLimits,
        python: str = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._work, self._options, self.limits = work, dict(options), limits
        self._python, self._variables = python, dict(variables or {})
        self._lock = threading.RLock()  # a session may be collected, and closed, while we hold it
        self._control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def open(self, patience: float | None = None) -> Session:
        """A new session; a host that is gone is replaced.

        Args:
            patience: Seconds that an answer may take; None: as the limits say.
        """
        mine, theirs = socket.socketpair()
        with self._lock, theirs:
            try:
                self._hand_over(theirs)
            except OSError:  # the host is gone
                self._control = None
                self._hand_over(theirs)
        return Session(mine, self.limits.wall if patience is None else patience)

    def close(self, patience: float = 10.0) -> int | None:
        """Ends the host; returns its exit code, if there was one."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.process is None:
            return None
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:  # programs that its sessions have started and left behind
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Lets go of what a fork of a process has inherited: that one's host is not ours."""
        self._lock = threading.RLock()
        if self._control is not None:
            self._control.close()
        self._control = self.process = None

    def _hand_over(self, connection: socket.socket) -> None:
        if self._control is None:
            self._control = self._start()
        socket.send_fds(self._control, [b"\n"], [connection.fileno()])

    def _start(self) -> socket.socket:
        mine, theirs = socket.socketpair()
        settings = {"options": self._options, **self.limits.to_json()}
        with theirs:
            self.process = subprocess.Popen(
                [self._python, "-m", _HOST, self._work, json.dumps(settings)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=self._environment(),
                start_new_session=True,
            )
        return mine

    def _environment(self) -> dict[str, str]:
        """No secret, no threads, and one order of every set."""
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        # Another interpreter has packages of its own, and must not see this one's.
        ours = (os.environ.get("PYTHONPATH"),) if self._python == sys.executable else ()
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **threads,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_REPOSITORY), *ours))),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self._variables,
        }
