"""What a server writes to its standard error: read as it comes, and only its end is kept."""

from __future__ import annotations

import contextlib
import os
import threading
from types import TracebackType
from typing import TextIO

_KEPT = 8_192  # bytes
_WAIT = 0.5  # seconds for the last words of a server that has ended


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
