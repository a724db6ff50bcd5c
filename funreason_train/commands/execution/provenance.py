"""What made a result besides its settings: the code, the machine, and the runs that its inputs came from."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from ...run.files import read_json, write_text
from ...run.paths import RunDir
from ...run.secrets import redacted

_PACKAGE = Path(__file__).resolve().parents[2]
_MOST = 2 << 20  # characters of a diff that are kept
_PATIENCE = 10.0  # seconds for git
_NAMES = Path("/proc/driver/nvidia/gpus")


def code(folder: Path | None = None) -> dict[str, Any]:
    """The commit of the checkout that the package is in, and what is not committed there.

    Args:
        folder: Where to keep the difference of a dirty checkout, as `dirty.diff`; None: nowhere.

    Returns:
        `commit` (None outside of a checkout, as in an installed package), `dirty`, and `diff`, the sha256 of
        the difference (None if there is none).
    """
    found: dict[str, Any] = {"commit": None, "dirty": False, "diff": None}
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()).resolve() != _PACKAGE.parent:
        return found
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain")
    found |= {"commit": commit.strip() if commit else None, "dirty": bool(changed and changed.strip())}
    if found["dirty"] and (text := _git("diff", "HEAD", "--no-color", "--no-ext-diff")):
        text = redacted(text)  # a run may be shared
        found["diff"] = hashlib.sha256(text.encode()).hexdigest()
        if folder is not None:
            write_text(folder / "dirty.diff", text[:_MOST])
    return found


def hardware() -> dict[str, Any]:
    """The machine that the command was given on: processor, cores, memory in bytes, GPUs by name."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": int(psutil.virtual_memory().total),
        "gpus": _gpus(),
        "python": platform.python_version(),
    }


def parents(run: RunDir, paths: Iterable[Path]) -> list[dict[str, str]]:
    """The runs that inputs from outside of this one lie in, with the stage that made them.

    Args:
        run: This run.
        paths: Files and folders that a stage reads.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for path in map(Path, paths):
        if run.holds(path):
            continue
        for folder in path.absolute().parents:
            if (folder / "manifest.json").is_file() and (record := _made_by(folder, path.absolute())):
                found.setdefault((record["run"], record["stage"]), record)
                break
    return list(found.values())


def _made_by(root: Path, path: Path) -> dict[str, str] | None:
    """The stage of a run whose folder a path is in; None if the folder is not a run's."""
    try:
        stages = read_json(root / "manifest.json")["stages"]
        stage = path.relative_to(root).parts[0]
        record = stages.get(stage, {})
        return {"run": str(root), "stage": stage, "fingerprint": str(record.get("fingerprint", ""))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def file_digest(path: Path) -> str | None:
    """The sha256 of a small file; None if it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _git(*words: str) -> str | None:
    """What git says; None without git, outside of a checkout, or where it takes too long."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_PACKAGE), *words],
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _processor() -> str:
    if sys.platform == "linux":
        try:
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Names of the GPUs, from the driver's files; nothing is started."""
    found = []
    for card in sorted(_NAMES.glob("*/information")):
        try:
            lines = card.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found
