"""A failure told in plain words: RUN_DIR/incidents/TIME-STAGE-NUMBER.md."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ...run.files import write_text
from ...run.paths import RunDir
from ...run.secrets import redacted
from .failures.cause import Cause
from .failures.judge import Verdict
from .retry import Decision

_MOST = 8  # consequences that are quoted


@dataclass(frozen=True)
class Incident:
    """What an incident tells.

    Attributes:
        stage: Name and title of the stage.
        verdict: What it was.
        decision: What is done now.
        code: How its process ended; None if it was ended by us.
        log: Of the stage; None if its output went to the screen.
        step: How far it was, in its own words.
        reached: The step from which it can go on.
        told: Further sentences, such as what hangs and where the stacks are.
    """

    stage: tuple[str, str]
    verdict: Verdict
    decision: Decision
    code: int | None
    log: Path | None
    step: str
    reached: int
    told: Sequence[str] = ()

    def text(self) -> str:
        """The incident as Markdown."""
        name, title = self.stage
        verdict = self.verdict
        parts = [
            f"# {title}: {verdict.kind}",
            f"{time.strftime('%Y-%m-%d %H:%M:%S %z')}. This is a failure of the kind **{verdict.kind}**: "
            f"{verdict.kind.means}.",
            "## What happened first",
            f"    {verdict.why}",
            self._where(verdict.root),
            *self.told,
            "## What is done now",
            self._decision(),
            "## What you can do",
            verdict.fix,
            f"The same command continues the run: the stage `{name}` goes on from "
            + (f"step {self.reached}, the last that is safe on disk." if self.reached else "its beginning.")
            + (f" It was at: {self.step}." if self.step else ""),
        ]
        parts += _quoted("What followed from it", verdict.cascade)
        parts += _quoted("What only tidied up", verdict.teardown)
        return redacted("\n\n".join(part for part in parts if part) + "\n")

    def _where(self, root: Cause | None) -> str:
        who = (root.process or "the stage's own process") if root else ""
        line = f"line {root.line} of " if root else ""
        where = f" ({line}{self.log})" if self.log else ""
        said = f"Said by {who}{where}." if root else f"The log tells no cause{where}."
        code = "" if self.code is None else f" The stage's process ended with code {self.code}."
        return said + code

    def _decision(self) -> str:
        if self.decision.wait is None:
            return f"The stage is not started again: {self.decision.why}."
        return (
            f"The stage is started again in {self.decision.wait:.0f} s, {self.decision.why} "
            f"(new start {self.decision.number} of at most {self.decision.most} without progress)."
        )


def write(incident: Incident, run: RunDir) -> Path:
    """Writes an incident; its name is free and sorts by time."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{incident.stage[0]}"
    numbered = (run.incidents / f"{stem}-{number}.md" for number in count(1))
    path = next(path for path in numbered if not path.exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, incident.text())
    return path


def _quoted(title: str, causes: Sequence[Cause]) -> list[str]:
    if not causes:
        return []
    lines = [f"    {one.line}: {one.process or 'the driver'}: {one.error}" for one in causes[:_MOST]]
    more = [f"    … and {len(causes) - _MOST} more"] if len(causes) > _MOST else []
    return [f"## {title}", "\n".join([*lines, *more])]
