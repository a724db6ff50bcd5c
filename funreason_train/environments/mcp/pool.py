"""Sessions that are kept started for the conversations to come: a start costs what 100 to 300 calls cost."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import tempfile
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from .folders import remove_leftovers
from .servers import Server
from .session import Session


class Pool:
    """The sessions of one server in this process; every conversation gets one that nobody has used.

    A server that all sessions share and that is reset between them (`url` with `session.reset`) serves one
    conversation at a time, on this machine.

    Args:
        name: The server's.
        server: Its description.
    """

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.server = name, server
        self._shared = server.url is not None and server.session.reset is not None
        self._lock = FileLock(_lock_file(server)) if self._shared else None
        self._ready: deque[Future[Session]] = deque()
        self._guard = threading.Lock()
        self._starters = ThreadPoolExecutor(
            max_workers=max(1, server.session.ready), thread_name_prefix="mcp-start"
        )
        self._pid = os.getpid()
        remove_leftovers(name)
        atexit.register(self.close)

    def take(self) -> Session:
        """A started session, for one conversation.

        Raises:
            UserError: The server does not start.
        """
        if self._lock is not None:
            self._lock.acquire()
            try:
                return Session(self.name, self.server).start()
            except BaseException:
                self._lock.release()
                raise
        with self._guard:
            first = self._ready.popleft() if self._ready else self._start()
            while len(self._ready) < self.server.session.ready:
                self._ready.append(self._start())
        return first.result()

    def give_back(self, session: Session) -> None:
        """Ends a session, which is never used again."""
        session.close()
        if self._lock is not None:
            self._lock.release()

    def close(self) -> None:
        """Ends the sessions that wait; those that were taken are their takers'."""
        if os.getpid() != self._pid:  # a fork: they belong to the parent
            return
        self._starters.shutdown(wait=False, cancel_futures=True)
        with self._guard:
            waiting, self._ready = list(self._ready), deque()
        for future in waiting:
            if not future.cancel():
                with contextlib.suppress(Exception):
                    future.result(self.server.session.start_seconds).close()

    def _start(self) -> Future[Session]:
        return self._starters.submit(Session(self.name, self.server).start)


def _lock_file(server: Server) -> Path:
    digest = hashlib.sha256(str(server.url).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"funreason-mcp-{os.getuid()}-{digest}.lock"
