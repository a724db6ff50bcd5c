"""Which checkpoint a run continues from. Standard library only."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

from ...models.weights import ADAPTER, MODEL, weight_defects

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


def settle(folder: Path, workers: int) -> list[str]:
    """Takes away what training cannot continue from; the trainer would pick it, its step being the highest.

    A checkpoint whose weights are whole is somebody's model, whatever else is missing: it is set aside. Only
    one that was cut off while its weights were written is removed.

    Returns:
        What was done and why, one sentence each.
    """
    done = []
    for path in checkpoints(folder):
        found = defects(path, workers)
        if not found:
            continue
        if weight_defects(path, weights_of(path)):
            shutil.rmtree(path)
            done.append(f"{path.name} was not written to its end ({found[0]}) and is removed")
        else:
            target = _free(folder.parent / "set_aside" / path.name)
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            done.append(
                f"{path.name} holds whole weights, but training cannot continue from it ({found[0]}); it is "
                f"set aside as {target} and can be deleted"
            )
    return done


def _free(path: Path) -> Path:
    number, target = 1, path
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{number}")
    return target


def weights_of(path: Path) -> str:
    """The name of the weights' file in a checkpoint: the model's, or that of a LoRA adapter."""
    return ADAPTER if (path / "adapter_config.json").is_file() else MODEL


def defects(path: Path, workers: int) -> list[str]:
    """What is missing or cut off in a checkpoint; empty for one that training can continue from."""
    match = _NAME.fullmatch(path.name)
    step = int(match[1]) if match else -1
    found = []
    if read_step(path) != step:
        found.append(f"{_STATE} does not tell step {step}")
    found += weight_defects(path, weights_of(path))
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
