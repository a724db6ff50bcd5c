"""Writes what every process of a stage is doing, before any of them is ended.

Processes of this machine are read from outside by py-spy, where the kernel lets it (root, or a container with
SYS_PTRACE, or kernel.yama.ptrace_scope=0). Those that left signs of life write their own stacks as well, on
every machine (`run.beat`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from ...run.beat import ASK, Beat
from ...run.secrets import redacted

_PATIENCE = 15.0  # seconds for one process
_ANSWERS = 6.0  # seconds for processes to write their own
_AT_ONCE = 8


def write_stacks(root: int, folder: Path, beats: Mapping[str, Beat], target: Path) -> list[str]:
    """Writes one file a process; a process that cannot be read has a file that says why.

    Args:
        root: The stage's process; with it all its descendants are read.
        folder: Where the signs of life are.
        beats: The latest of each process.
        target: The folder to write to.

    Returns:
        What was written, in a sentence each.
    """
    target.mkdir(parents=True, exist_ok=True)
    family = _family(root)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outside = list(pool.map(lambda one: _from_outside(one, target), family))
    told = [f"{sum(outside)} of {len(family)} processes on this machine were read by py-spy"]
    answered = _own_words(folder, beats, target)
    told.append(f"{answered} of {len(beats)} processes wrote their own stacks")
    return told


def _family(root: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def _from_outside(process: psutil.Process, target: Path) -> bool:
    with suppress(psutil.Error):
        words = process.cmdline()
        shown = redacted(" ".join(words))[:500]
        head = f"process {process.pid}, parent {process.ppid()}, {process.status()}: {shown}\n\n"
        if not words or "python" not in Path(process.exe()).name:
            return False
        good, text = _py_spy(process.pid)
        (target / f"{process.pid}.txt").write_text(head + redacted(text), encoding="utf-8")
        return good
    return False


def _py_spy(pid: int) -> tuple[bool, str]:
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        return False, "py-spy is not installed here\n"
    try:
        done = subprocess.run(
            [program, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"py-spy gave no answer ({error})\n"
    return done.returncode == 0, done.stdout + done.stderr


def _own_words(folder: Path, beats: Mapping[str, Beat], target: Path) -> int:
    """Asks every process that left a sign for its stacks, and copies what they write."""
    for beat in beats.values():
        if beat.host == os.uname().nodename and (folder / f"{beat.who}.stack").exists():
            with suppress(OSError, psutil.Error):
                if psutil.Process(beat.pid).is_running():
                    os.kill(beat.pid, signal.SIGUSR2)
    with suppress(OSError):
        (folder / ASK).touch()
    until = time.monotonic() + _ANSWERS
    waiting = set(beats)
    while waiting and time.monotonic() < until:
        waiting = {who for who in waiting if not _size(folder / f"{who}.stack")}
        time.sleep(0.2)
    answered: Sequence[str] = [who for who in beats if _size(folder / f"{who}.stack")]
    for who in answered:
        text = (folder / f"{who}.stack").read_text(encoding="utf-8", errors="replace")
        (target / f"{who}.txt").write_text(redacted(text), encoding="utf-8")
    return len(answered)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
