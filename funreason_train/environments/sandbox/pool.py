"""Sessions of one process that wait for their owner's next request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .limits import CallLimits
from .session import Sandbox, Session


class Pool:
    """A sandbox, and the sessions in it that nobody uses for the moment.

    Only the most recent ones are kept: what is dropped can be made again from its configuration and calls.

    Args:
        make: Makes the sandbox that sessions are opened in, when the first one is, and says how many sessions
            wait at most.
    """

    def __init__(self, make: Callable[[], tuple[Sandbox, int]]) -> None:
        self._make = make
        self._made: tuple[Sandbox, int] | None = None
        self._lock = threading.RLock()  # an owner may be collected, and dropped, while we hold it
        self._waiting: OrderedDict[int, Session] = OrderedDict()

    def _parts(self) -> tuple[Sandbox, int]:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    @property
    def host(self) -> int | None:
        """The host's process, once there is one."""
        return self._made[0].process.pid if self._made and self._made[0].process else None

    def replace(self, other: Pool) -> None:
        """Takes over another's limits; what waits here goes on in a new host, made again."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), OrderedDict()
            made, self._made, self._make = self._made, other._made, other._make
        for session in waiting:
            session.close()
        if made:
            made[0].close()

    @property
    def limits(self) -> CallLimits:
        """Of each session."""
        return self._parts()[0].limits

    def open(self) -> Session:
        """A new session, in which nothing is loaded."""
        return self._parts()[0].open()

    def take(self, owner: int) -> Session | None:
        """The owner's session if it waits; it is the caller's until it is put back."""
        with self._lock:
            return self._waiting.pop(owner, None)

    def put(self, owner: int, session: Session) -> None:
        """Lets a session wait for its owner's next request; the one that waited longest may end for it."""
        surplus: list[Session] = []
        kept = self._parts()[1]
        with self._lock:
            self._waiting[owner] = session
            while len(self._waiting) > kept:
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
        if self._made:
            self._made[0].forget()
