"""What is said of a stage that crashed, and of one that was made with different settings."""

from __future__ import annotations

from pathlib import Path

from ...errors import UserError
from ...run.changes import Changes
from ...run.paths import RunDir
from ...run.process import ChildFailed
from ...run.stage import Stage
from ..supervise.failures.cause import first_cause, in_one_line

_MOST = 5  # changes that are shown
_AFTER = "the same command continues where it stopped"


def failure(name: str, error: ChildFailed, log: Path | None) -> str:
    """The first error of a stage's log, the one that ended it, and what to do.

    Args:
        name: The stage.
        error: How its process ended.
        log: Its output; None if that went to the screen.
    """
    why = in_one_line(error.why or f"its process ended with code {error.code} and no message")
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
    fix = f"\n  {cause.fix}" if cause.fix else ""
    return f"{first}{fix}{echo}\n  {_AFTER}"


def another_job(stage: Stage, run: RunDir, found: Changes) -> UserError:
    """What is said where a run directory holds a stage that was made with different settings or inputs."""
    shown = "; ".join(found.another[:_MOST])
    more = len(found.another) - _MOST
    rest = f"; and {more} more" if more > 0 else ""
    return UserError(
        f"the stage '{stage.name}' here was made with different settings ({shown}{rest})",
        where=str(run.root),
        fix=f"Choose another run_dir=DIR, or redo this stage and those after it with restart={stage.name} "
        "(what is there is kept under old/)",
    )
