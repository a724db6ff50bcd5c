"""One thing that was looked at, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "fine", "unchecked"]


@dataclass(frozen=True)
class Finding:
    """One check on one node, or on all of them together.

    Attributes:
        level: `error` would stop or spoil the run; `warning` may; `unchecked` could not be looked at here.
        check: What was looked at, in two or three words.
        node: Where; None: on all nodes alike, or between them.
        what: What was found, as a sentence without a full stop.
        fix: What the user can do about it; empty where there is nothing to do.
    """

    level: Level
    check: str
    node: str | None
    what: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.node}: " if self.node else ""
        return f"{place}{self.check}: {self.what}" + (f". {self.fix}" if self.fix else "")
