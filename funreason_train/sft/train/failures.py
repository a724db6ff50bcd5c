"""Why the training workers failed, and whether starting them again can help.

A training process that fails leaves a note beside the checkpoints before it dies; one that was killed, or
whose machine went away, cannot. The driver reads the notes: what fails in the same way at the same step will
fail again, and what fails before the first step is an error of settings, data or code.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...run.files import write_json

_NOTE = "rank_*.json"
#: Errors that the same program makes of the same input every time.
_DETERMINISTIC = frozenset(
    (
        *("UserError", "ValueError", "TypeError", "AttributeError", "KeyError", "IndexError", "NameError"),
        *("ImportError", "ModuleNotFoundError", "NotImplementedError", "AssertionError", "FileNotFoundError"),
    )
)
#: What a process says when another one has gone: an echo, never the cause.
_ECHO = re.compile(r"closed by peer|Connection reset|Broken pipe|connection was closed|Timed out|NCCL", re.I)
_CHANGING = re.compile(r"0x[0-9a-f]+|\d+", re.I)


@dataclass(frozen=True)
class Failure:
    """The first error of the workers.

    Attributes:
        rank: The process that failed.
        kind: The exception's class.
        message: Its words.
        step: The last optimizer step that was done; -1 before training began.
        user: The parts of a `UserError`, or None.
    """

    rank: int
    kind: str
    message: str
    step: int
    user: dict[str, Any] | None = None

    def like(self, other: Failure | None) -> bool:
        """Whether the other one is the same error at the same step; addresses and numbers do not count."""
        return other is not None and self._key() == other._key()

    def _key(self) -> tuple[str, str, int]:
        return self.kind, _CHANGING.sub("#", self.message.splitlines()[0] if self.message else ""), self.step

    def __str__(self) -> str:
        when = "before the first step" if self.step < 0 else f"after step {self.step}"
        first = self.message.splitlines()[0] if self.message else "without a message"
        return f"{self.kind}: {first} (training process {self.rank}, {when})"


def note(folder: Path, rank: int, step: int, error: Exception) -> None:
    """Leaves the note of a process that is about to die of `error`."""
    user = None
    if isinstance(error, UserError):
        user = {"what": error.what, "where": error.where, "fix": error.fix}
    row = {
        "rank": rank,
        "kind": type(error).__name__,
        "message": str(error)[:4000],
        "step": step,
        "user": user,
        "time": time.time(),
    }
    write_json(folder / f"rank_{rank}.json", row)


def forget(folder: Path) -> None:
    """Removes the notes of an earlier attempt."""
    for file in folder.glob(_NOTE):
        file.unlink(missing_ok=True)


def first(folder: Path) -> Failure | None:
    """The failure that came first and is no echo of another one; None if no process could leave a note."""
    rows = []
    for file in folder.glob(_NOTE):
        try:
            rows.append(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    rows.sort(key=lambda row: (bool(_ECHO.search(row["message"])), row["time"]))
    if not rows:
        return None
    row = rows[0]
    return Failure(row["rank"], row["kind"], row["message"], row["step"], row["user"])


def hopeless(now: Failure | None, before: Failure | None) -> str | None:
    """Why the workers are not started again, or None if it may help.

    Args:
        now: The failure at hand; None if a process vanished without a note.
        before: That of the attempt before.
    """
    if now is None:
        return None
    if now.user is not None:
        return "it is an error of the settings or the data"
    if now.step < 0 and now.kind in _DETERMINISTIC:
        return "it fails before the first step, and would do so again"
    if now.like(before):
        return "it failed in the same way at the same step twice"
    return None
