"""Disk and host memory that the stages will need, from the model's size (pure but for weights' headers)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...cluster.plan import storage
from ...models.weights import stored_tensors
from ...run.manifest import Manifest
from ...run.paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig


def parameters(*folders: str | None) -> int | None:
    """The parameters of the first folder that holds whole weights; None if none does."""
    for folder in folders:
        if folder and Path(folder).is_dir():
            try:
                stored = stored_tensors(Path(folder).expanduser())
            except (OSError, ValueError):
                continue
            if stored:
                return sum(math.prod(tensor.shape) for tensor in stored.values())
    return None


def checkpoint_bytes(config: DictConfig, run: RunDir, stages: Sequence[str], size: int) -> int:
    """Bytes that the stages have yet to write below the run directory.

    A checkpoint is written before the oldest is removed, so there is one more than is kept. What an earlier
    attempt has written counts as written.

    Args:
        config: The configuration.
        run: The run directory.
        stages: Which stages will run; those that are done write nothing.
        size: The model's parameters.
    """
    manifest = Manifest(run)
    stages = [name for name in stages if manifest.stage(name).get("state") != "done"]
    needed = 0
    if "sft" in stages:
        full = config.sft.finetuning_type == "full"
        kept = int(config.sft.save_total_limit) if full else None  # LoRA's matrices are small
        needed += max(0, storage.sft_disk(size, kept) - _written(run.sft))
    if "rl" in stages:
        disk = storage.rl_disk(size, int(config.rl.keep_checkpoints))
        needed += max(0, disk - _written(run.rl_checkpoints))
    if "export" in stages:
        needed += max(0, storage.export_disk(size) - _written(run.export))
    return needed


def host_bytes(config: DictConfig, size: int) -> int:
    """Bytes of host memory on a node: each training process reads the whole model before it is shared out."""
    return storage.loading(size, int(config.cluster.gpus_per_node))


def _written(folder: Path) -> int:
    found = 0
    for file in folder.rglob("*"):
        try:
            found += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
        except OSError:  # removed meanwhile
            continue
    return found
