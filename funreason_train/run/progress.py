"""How a stage says how far it is, whichever process shows it.

A stage runs in a process of its own whose output goes to a log file. It reports here; the command line that
started it reads the report and draws the bar.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

#: Names the file that reports go to; unset when nobody watches.
VARIABLE = "FUNREASON_PROGRESS"
_INTERVAL = 0.2  # seconds between two written reports
_last = 0.0


@dataclass(frozen=True)
class Progress:
    """The state of a stage: `done` of `total` units (total None: unknown), and a few words."""

    done: int
    total: int | None
    text: str


def report(done: int, total: int | None = None, text: str = "", *, now: bool = False) -> None:
    """Publishes how far the stage is; cheap enough for every step, silent when nobody watches.

    Args:
        done: Of the units.
        total: None if unknown.
        text: A few words.
        now: Publish it however short the last report is ago, since the next one may be long in coming.
    """
    global _last
    path, time_now = os.environ.get(VARIABLE), time.monotonic()
    if not path or (time_now - _last < _INTERVAL and done != total and not now):
        return
    _last = time_now
    temporary = f"{path}.{os.getpid()}"
    try:
        Path(temporary).write_text(json.dumps({"done": done, "total": total, "text": text}), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:  # a full disk must not stop a training run for the sake of its progress bar
        pass


def read(path: Path) -> Progress | None:
    """The latest report in `path`, or None before the first."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Progress(int(value["done"]), value["total"], str(value["text"]))
