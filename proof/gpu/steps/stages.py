"""The project's stages as a user starts them: by their command, and by the same command again."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from . import Job

#: What a single card of a small machine asks for, beside the profile's own values.
_ONE_CARD = (
    "cluster=gpu80x1",
    "cluster.cpus_per_worker=4",
    "cluster.object_store_bytes=2000000000",
    "rl.rollout.workers=1",
    "rl.devices.cuda.storage_units=1",
)


def command(stage: str, job: Job, run: Path, *words: str) -> list[str]:
    """The command line of a stage on this step's device."""
    profile = _ONE_CARD if job.device == "cuda" else ("cluster=cpu",)
    # The packages that a machine brings along are not the lock's, which the preflight would refuse.
    common = (f"run_dir={run}", "doctor=off", "output=screen", "protocol.system=compact")
    return [sys.executable, "-m", "funreason_train", stage, *profile, *common, *words]


def start(line: list[str]) -> subprocess.Popen[bytes]:
    """Starts it; what it prints goes where this step's own output goes."""
    print(" ".join(line), flush=True)
    return subprocess.Popen(line)


def finish(line: list[str]) -> float:
    """Runs it to its end.

    Returns:
        Seconds.

    Raises:
        RuntimeError: if it did not end with 0.
    """
    started = time.monotonic()
    code = start(line).wait()
    if code:
        raise RuntimeError(f"{line[3]} ended with code {code}; its output is above")
    return round(time.monotonic() - started, 1)


def kill_when(line: list[str], seen: Callable[[], Any]) -> None:
    """Starts a stage and kills it with all its processes as soon as something is seen.

    Raises:
        RuntimeError: if it ended before.
    """
    process = start(line)
    while not seen():
        if process.poll() is not None:
            raise RuntimeError(f"{line[3]} ended with code {process.returncode} before it could be killed")
        time.sleep(0.002)
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    psutil.wait_procs(family, timeout=30)


def lines(file: Path) -> list[dict[str, Any]]:
    """The records of a stage, a line each; one that a kill cut off is left out."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def card() -> str:
    """The GPU's name."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else platform.machine()
