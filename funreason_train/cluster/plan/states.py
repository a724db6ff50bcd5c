"""Bytes of weights, gradients and optimizer on one GPU.

Sources: ZeRO (arXiv 1910.02054, section 5): with mixed precision a parameter takes 2 bytes of weights, 2 of
gradients and 12 of fp32 master weights and Adam's moments, and stage 1 shares out the optimizer, stage 2 the
gradients as well, stage 3 the weights as well. Two things differ here: gradients are added up in fp32, so
they take 4 bytes (sft/llamafactory/deepspeed.py); and FSDP as verl and prime-rl use it keeps fp32 weights and
gathers them in bf16, layer by layer (torch.distributed.fsdp.fully_shard with MixedPrecisionPolicy).
"""

from __future__ import annotations

from dataclasses import dataclass

from .shape import Shape


@dataclass(frozen=True)
class States:
    """Bytes on one GPU.

    Attributes:
        weights: As they are computed with or kept, and what is gathered of them at once.
        gradients: Added up until the step.
        moving: The largest gradient on its way to where it is added up; there in a backward pass only.
        optimizer: Master weights and Adam's moments.
    """

    weights: float
    gradients: float
    moving: float
    optimizer: float


def zero(shape: Shape, stage: int | None, gpus: int, *, half: bool = True) -> States:
    """Full training with DeepSpeed's ZeRO.

    Args:
        shape: The model.
        stage: 0 to 3; None for no DeepSpeed: fp32 weights, and where `half` the 16-bit copy of each that
            autocast keeps for a whole pass.
        gpus: Over how many it is shared out.
        half: 16-bit computation; otherwise everything is fp32.
    """
    size = shape.parameters
    if stage is None or not half:
        return States(
            4 * size / (gpus if stage == 3 else 1) + (2 * size if half else 0),
            4 * size / (gpus if stage in (2, 3) else 1),
            0.0,
            8 * size / (gpus if stage in (1, 2, 3) else 1),
        )
    gathered = 2 * (2 * shape.layer + shape.embedding) if stage == 3 else 0  # two layers and an embedding
    return States(
        2 * size / (gpus if stage == 3 else 1) + gathered,
        4 * size / (gpus if stage >= 2 else 1),
        6 * shape.embedding,  # in bf16 and in fp32
        12 * size / (gpus if stage >= 1 else 1),
    )


def fsdp(shape: Shape, shards: int, *, half: bool = True) -> States:
    """Full training with FSDP2: fp32 weights, gradients and moments shared out, layers gathered in turn."""
    size, computed = shape.parameters, 2 if half else 4
    if shards == 1 and not half:
        return States(4 * size, 4 * size, 0.0, 8 * size)
    gathered = computed * (2 * shape.layer + shape.embedding)
    moving = (computed + 4) * shape.embedding
    return States(4 * size / shards + gathered, 4 * size / shards, moving, 8 * size / shards)


def lora(shape: Shape, rank: int, shards: int = 1, *, weight_bytes: int = 2) -> States:
    """LoRA: frozen weights, and 16 bytes for each parameter of the small matrices.

    Args:
        shape: The model.
        rank: Of the matrices.
        shards: Over how many GPUs the frozen weights are shared out.
        weight_bytes: Of a frozen weight.
    """
    small = shape.lora_parameters(rank)
    gathered = weight_bytes * (2 * shape.layer + shape.embedding) if shards > 1 else 0
    return States(weight_bytes * shape.parameters / shards + gathered + 4 * small, 4 * small, 0.0, 8 * small)
