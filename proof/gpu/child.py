"""One step in a process of its own, with a time limit after which nothing of it is left (Linux).

The stages start Ray, whose processes leave their parent's group and session. So this process adopts every
orphan below it (PR_SET_CHILD_SUBREAPER): whatever a step started is found among our descendants and killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_TAIL = 1500  # characters of a failed step's output that the record keeps


@dataclass(frozen=True)
class Outcome:
    """How a step ended.

    Attributes:
        status: `ok`, `failed`, or `time` if it was killed at its limit.
        seconds: How long it took.
        figures: What it measured; a step that was cut off keeps what it had noted by then.
        error: The end of its output, where it did not end well.
    """

    status: str
    seconds: float
    figures: dict[str, Any]
    error: str | None = None


def execute(command: list[str], limit: float, notes: Path, log: Path) -> Outcome:
    """Runs a command until it ends or its time is up.

    Args:
        command: Program and arguments.
        limit: Seconds.
        notes: The file in which it keeps its figures as one JSON object; an old one is removed first.
        log: Where its output is added.
    """
    adopt_orphans()
    notes.unlink(missing_ok=True)
    started = time.monotonic()
    with log.open("ab") as file:
        begins = file.tell()
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            over = process.poll() is None
            end_descendants()
            process.wait()
    seconds = round(time.monotonic() - started, 1)
    figures = noted(notes)
    if over:
        return Outcome("time", seconds, figures, f"killed after {limit:.0f} s; {_tail(log, begins)}")
    if process.returncode:
        return Outcome("failed", seconds, figures, _tail(log, begins))
    return Outcome("ok", seconds, figures)


def adopt_orphans() -> None:
    """Makes this process the parent of every process below it whose own parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kills every process below this one and waits for them."""
    for _ in range(50):
        below = psutil.Process().children(recursive=True)
        for one in below:
            try:
                one.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(below, timeout=2)
        if not below:
            return


def noted(notes: Path) -> dict[str, Any]:
    """The figures of a step, or none if it left none that can be read."""
    try:
        found = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(notes: Path, **figures: Any) -> None:
    """Adds figures to those noted so far; a reader sees the old ones or the new ones, never half."""
    whole = {**noted(notes), **figures}
    new = notes.with_name(f"{notes.name}.new")
    new.write_text(json.dumps(whole), encoding="utf-8")
    os.replace(new, notes)


def _tail(log: Path, begins: int) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(begins, file.tell() - _TAIL))
        return file.read().decode(errors="replace").strip()


if __name__ == "__main__":
    sys.exit("run proof.py")
