"""What is heard of a server besides its answers: the end of its standard error, and HTTP's refusals."""

from __future__ import annotations

import contextlib
import os
import threading
from types import TracebackType
from typing import Any, TextIO

_KEPT = 8_192  # bytes
_WAIT = 0.5  # seconds for the last words of a server that has ended
_LOGIN = (401, 403)
_ELSEWHERE = (404, 405, 407, 410)  # nothing that speaks the protocol is there
#: Besides them and all from 500 on: too slow, too many. Others may be a call's own fault.
_REFUSED = (*_ELSEWHERE, 408, 429)


class StandardError:
    """A pipe whose other end is read by a thread, so that a server that floods it fills no disk.

    Attributes:
        file: What the server is given.
    """

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.file: TextIO = os.fdopen(writing, "w", encoding="utf-8")
        self._end = b""
        self._thread = threading.Thread(target=self._read, args=(reading,), name="mcp-stderr", daemon=True)
        self._thread.start()

    def __enter__(self) -> StandardError:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.file.close()

    def last_line(self) -> str:
        """The last line that is not blank; empty if there is none."""
        with contextlib.suppress(OSError):
            self.file.close()
        self._thread.join(_WAIT)
        lines = self._end.decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _read(self, reading: int) -> None:
        with contextlib.suppress(OSError), os.fdopen(reading, "rb", buffering=0) as pipe:
            while data := pipe.read(65_536):
                self._end = (self._end + data)[-_KEPT:]


class Web:
    """The last HTTP answer to a request of one session; nothing where the server is a process."""

    def __init__(self) -> None:
        self._status, self._kind = 200, ""

    async def remember(self, response: Any) -> None:
        """Takes in a response of `httpx2`; those to what listens besides the requests do not count."""
        if response.request.method == "POST":
            self._status, self._kind = response.status_code, response.headers.get("content-type", "")

    def refused(self) -> str:
        """Why the last request did not reach the server's tools, as a clause; empty if it did."""
        if self._status in _LOGIN:
            return "asks for a login: give it one in `headers` or `env` of its description"
        if self._kind.startswith("text/html"):
            return "answers with a web page, as of a login: look at its `url` and `headers`"
        if self._status in _REFUSED or self._status >= 500:
            fix = (
                "look at its `url`"
                if self._status in _ELSEWHERE
                else "it is busy or out of order; try again later"
            )
            return f"answers with HTTP status {self._status}: {fix}"
        return ""
