"""The one line protocol of the sandbox: a JSON object a line, over a connected socket.

A request is answered by one line. `{"stopped": reason}` is the answer of a session that has ended: a limit
was reached, or its process is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from .limits import LimitReached, Watchdog

MAX_LINE = 10_000_000  # characters of one answer


class Lines:
    """Whole lines out of blocks of bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def add(self, block: bytes) -> Iterator[bytes]:
        """The lines that a block completes."""
        self._rest += block
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            yield line


class Channel:
    """A session's connection in the process that serves it, which is stopped when one request takes too long.

    Args:
        connection: The socket's file descriptor.
        watchdog: Runs from a request to its answer.
        isolation: How the process is locked; see `limits.lock`.
    """

    def __init__(self, connection: int, watchdog: Watchdog, isolation: str) -> None:
        self.watchdog, self.isolation = watchdog, isolation
        self._connection = connection
        self._lines = Lines()
        self._waiting: list[bytes] = []

    def receive(self) -> dict[str, Any] | None:
        """The next request; None when the other side has closed the session."""
        while not self._waiting:
            block = os.read(self._connection, 1 << 20)
            if not block:
                return None
            self._waiting += self._lines.add(block)
        request: dict[str, Any] = json.loads(self._waiting.pop(0))
        self.watchdog.arm()
        return request

    def requests(self) -> Iterator[dict[str, Any]]:
        """All requests to come; each must be answered before the next is taken."""
        while (request := self.receive()) is not None:
            yield request

    def send(self, answer: dict[str, Any]) -> None:
        """Answers the request that was received last.

        Raises:
            LimitReached: the answer is too long, or JSON does not hold it.
        """
        try:
            text = json.dumps(answer)
        except (ValueError, TypeError, RecursionError) as error:
            raise LimitReached(f"result_limit: the answer cannot be written ({error})") from None
        if len(text) > MAX_LINE:
            raise LimitReached(f"result_limit: the answer has more than {MAX_LINE} characters")
        self.watchdog.rest()
        view = memoryview(text.encode() + b"\n")
        while view:
            view = view[os.write(self._connection, view) :]
