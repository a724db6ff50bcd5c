"""One copy of a checkpoint where several groups of workers hold the same weights (`rl.fsdp_size`).

With hybrid sharding, every group of `fsdp_size` workers holds all weights and optimiser state, and verl 0.9.1
has each worker save its own shard (verl/utils/checkpoint/fsdp_checkpoint_manager.py): a file for each group
with the same contents. Here the first group saves, and the other groups' files are links to its files, so
that whoever reads a checkpoint finds a file for each worker as before. Random states differ and are saved by
each worker.

Loaded in every process of such a run through `VERL_USE_EXTERNAL_MODULES`; imports verl.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map_only
from verl.utils.checkpoint import fsdp_checkpoint_manager as managers

_SHARED = ("model_", "optim_")  # the beginnings of the files that are the same in each group


def holder(mesh: Any, rank: int) -> int:
    """The first worker that holds the same shard as this one; itself where weights are not held twice.

    Args:
        mesh: The workers that the weights are spread over; (groups, workers) where there are groups.
        rank: This worker's.
    """
    if mesh is None or mesh.ndim != 2:
        return rank
    ((_, place),) = (mesh.mesh == rank).nonzero().tolist()
    return int(mesh.mesh[0, place])


class _Linking:
    """`torch` as the manager sees it: `save` links shared files to the holder's, `load` takes these over."""

    def __init__(self, torch: Any, mesh: Any, rank: int, first: int) -> None:
        self._torch, self._mesh = torch, mesh
        self._ours, self._theirs = f"_rank_{rank}.pt", f"_rank_{first}.pt"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def _shared(self, path: Path) -> bool:
        return path.name.startswith(_SHARED) and path.name.endswith(self._ours)

    def save(self, state: Any, file: str) -> None:
        path = Path(file)
        if not (self._shared(path) and _link(path, path.name.removesuffix(self._ours) + self._theirs)):
            self._torch.save(state, file)

    def load(self, file: str, **options: Any) -> Any:
        state = self._torch.load(file, **options)
        if not self._shared(Path(file)):
            return state
        # What the holder saved names the holder's process groups, which this worker is not in.
        return tree_map_only(DTensor, self._here, state)

    def _here(self, tensor: Any) -> Any:
        return DTensor.from_local(
            tensor._local_tensor,
            self._mesh,
            tensor.placements,
            run_check=False,
            shape=tensor.shape,
            stride=tensor.stride(),
        )


def _link(path: Path, target: str) -> bool:
    """Makes the link; false on a file system that has none, where the file is saved as ever."""
    path.unlink(missing_ok=True)
    try:
        os.symlink(target, path)
    except OSError:
        return False
    return True


def _once(method: Callable[..., Any]) -> Callable[..., Any]:
    def with_links(self: Any, *arguments: Any, **options: Any) -> Any:
        mesh = getattr(next(self.model.parameters()), "device_mesh", None)
        first = holder(mesh, self.rank)
        if first == self.rank:
            return method(self, *arguments, **options)
        with patch.object(managers, "torch", _Linking(managers.torch, mesh, self.rank, first)):
            return method(self, *arguments, **options)

    with_links._once = True  # type: ignore[attr-defined]
    return with_links


def save_once() -> None:
    """Has verl's manager save each shard once, in this process."""
    manager = managers.FSDPCheckpointManager
    if not getattr(manager.save_checkpoint, "_once", False):
        manager.save_checkpoint = _once(manager.save_checkpoint)
        manager.load_checkpoint = _once(manager.load_checkpoint)


save_once()
