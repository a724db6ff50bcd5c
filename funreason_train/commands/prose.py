"""What is said of a stage that crashed."""

from __future__ import annotations

from pathlib import Path

from ..run.process import ChildFailed
from .cause import first_cause, in_one_line

_AFTER = "the same command continues where it stopped"


def failure(name: str, error: ChildFailed, log: Path | None) -> str:
    """The first error of a stage's log, the one that ended it, and what to do.

    Args:
        name: The stage.
        error: How its process ended.
        log: Its output; None if that went to the screen.
    """
    why = in_one_line(error.why or f"its process ended with code {error.code} without a word")
    if log is None:
        return f"the stage '{name}' failed: {why}\n  {_AFTER}"
    # Progress bars end their lines with a carriage return, which editors do not count.
    with log.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        cause = first_cause(lines)
    if cause is None:
        return f"the stage '{name}' failed: {why}\n  its log: {log}\n  {_AFTER}"
    who = cause.process or "the driver"
    first = f"the stage '{name}' failed, first in {who}: {cause.error} (line {cause.line} of {log})"
    echo = "" if why in cause.error or cause.error in why else f"\n  its end: {why}"
    mend = f"\n  {cause.mend}" if cause.mend else ""
    return f"{first}{mend}{echo}\n  {_AFTER}"
