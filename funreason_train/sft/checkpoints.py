"""Which checkpoint a run continues from. Standard library only."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

from ..models.weights import weight_defects

_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "trainer_state.json"


def latest_complete(folder: Path, workers: int) -> Path | None:
    """The newest checkpoint below `folder` that was written to its end, or None.

    Args:
        folder: LLaMA-Factory's output_dir.
        workers: Training processes; each leaves its own random state.
    """
    complete = [path for path in checkpoints(folder) if not defects(path, workers)]
    return complete[-1] if complete else None


def checkpoints(folder: Path) -> list[Path]:
    """All checkpoint folders, oldest step first."""
    found = [
        (int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def remove_incomplete(folder: Path, workers: int) -> list[str]:
    """Removes half-written checkpoints, which the trainer would pick because their step is the highest.

    Returns:
        What was removed and why, one sentence each.
    """
    removed = []
    for path in checkpoints(folder):
        if found := defects(path, workers):
            shutil.rmtree(path)
            removed.append(f"{path.name} was not written to its end ({found[0]}) and is removed")
    return removed


def defects(path: Path, workers: int) -> list[str]:
    """What is missing or cut off in a checkpoint; empty for one that training can continue from."""
    match = _NAME.fullmatch(path.name)
    step = int(match[1]) if match else -1
    found = []
    if read_step(path) != step:
        found.append(f"{_STATE} does not tell step {step}")
    found += weight_defects(path)
    random_states = [f"rng_state_{rank}.pth" for rank in range(workers)] if workers > 1 else ["rng_state.pth"]
    sharded = path / f"global_step{step}"  # DeepSpeed's own folder
    if sharded.is_dir():
        states = sorted(sharded.glob("*_optim_states.pt"))
        if len(states) != workers:
            found.append(f"{len(states)} of {workers} optimizer shards are there")
        files = [*states, *sharded.glob("*_model_states.pt")]
        if not (path / "latest").is_file():
            found.append("DeepSpeed's file `latest` is missing")
    else:
        files = [path / "optimizer.pt", path / "scheduler.pt"]
    files += [path / name for name in random_states]
    return found + [text for file in files if (text := _archive_defect(file))]


def read_step(path: Path) -> int | None:
    """The optimizer step that `trainer_state.json` in `path` tells, or None if it cannot be read."""
    try:
        return int(json.loads((path / _STATE).read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _archive_defect(path: Path) -> str | None:
    """What torch writes is a zip archive, whose directory comes last. Nothing in it is unpickled here."""
    if not path.is_file():
        return f"{path.name} is missing"
    return None if zipfile.is_zipfile(path) else f"{path.name} is cut off"
