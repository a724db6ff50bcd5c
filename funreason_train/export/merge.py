"""The shards of a checkpoint as whole tensors.

verl's own merger (verl/model_merger) does the same, but rounds every weight to bfloat16 and unpickles freely;
here the stored type stays and only tensors are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def whole_state(actor: Path, ranks: int) -> dict[str, Tensor]:
    """Reads `model_world_size_N_rank_R.pt` of every rank and puts the shards together.

    Args:
        actor: The checkpoint's `actor` folder.
        ranks: How many workers wrote it.

    Returns:
        Parameter name to the whole tensor, on the CPU, in the type it was stored in.

    Raises:
        ValueError: if the ranks disagree about a parameter, or are sharded over more than one dimension.
    """
    import torch
    import torch.distributed.tensor  # lets `weights_only` read sharded tensors

    shards = [
        torch.load(actor / f"model_world_size_{ranks}_rank_{rank}.pt", map_location="cpu", weights_only=True)
        for rank in range(ranks)
    ]
    names = list(shards[0])
    for rank, shard in enumerate(shards):
        if list(shard) != names:
            raise ValueError(f"{actor}: rank {rank} holds other parameters than rank 0")
    return {name: _whole(name, [shard.pop(name) for shard in shards]) for name in names}


def _whole(name: str, pieces: list[Any]) -> Tensor:
    """One parameter from its piece on each rank, in the order of ranks."""
    import torch
    from torch.distributed.tensor import DTensor

    first = pieces[0]
    if not isinstance(first, DTensor):
        if any(not torch.equal(piece, first) for piece in pieces[1:]):
            raise ValueError(f"{name} is stored whole but differs between ranks")
        return first
    sharded = [
        (axis, placement) for axis, placement in enumerate(first.placements) if not placement.is_replicate()
    ]
    if any(not placement.is_shard() for _, placement in sharded) or len(sharded) > 1:
        raise ValueError(f"{name} is laid out as {first.placements}, which cannot be put together here")
    if not sharded:
        return first.to_local()
    axis, placement = sharded[0]
    # Ranks along the other axes of the mesh hold copies: one line of the mesh is the whole tensor.
    line = first.device_mesh.mesh.movedim(axis, -1).reshape(-1, first.device_mesh.mesh.shape[axis])[0]
    tensor = torch.cat([pieces[int(rank)].to_local() for rank in line], dim=placement.dim).contiguous()
    if tensor.shape != first.shape:
        raise ValueError(f"{name}: the shards make {tuple(tensor.shape)}, not {tuple(first.shape)}")
    return tensor
