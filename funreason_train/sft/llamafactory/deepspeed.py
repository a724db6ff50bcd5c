"""DeepSpeed's configuration as data; "auto" is filled in by transformers from the training arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STAGES = ("zero2", "zero3")


def deepspeed_config(name: str, device: str) -> dict[str, Any]:
    """The configuration for ZeRO-2 (gradients and optimizer states sharded) or ZeRO-3 (weights as well).

    Args:
        name: `zero2` or `zero3`.
        device: `cpu` or `cuda`; communication overlaps with compute only where there are streams.
    """
    overlap = device == "cuda"
    zero: dict[str, Any] = {
        "overlap_comm": overlap,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
    }
    if name == "zero2":
        zero |= {"stage": 2, "allgather_partitions": True, "reduce_scatter": True}
    else:
        zero |= {
            "stage": 3,
            "sub_group_size": 1_000_000_000,
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_max_live_parameters": 1_000_000_000,
            "stage3_max_reuse_distance": 1_000_000_000,
            # So that the final folder holds whole weights that any loader reads.
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
        "fp16": {"enabled": False},
        "bf16": {"enabled": "auto"},
        # Sixteen passes of small bf16 gradients added up in bf16 lose what is below 1/256 of the sum.
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "zero_optimization": zero,
    }


def missing(value: str) -> str | None:
    """Why `sft.deepspeed` cannot be `value`, the name of a stage or of a file; None if it can."""
    if value in STAGES or Path(value).is_file():
        return None
    return f"sft.deepspeed: there is no file {value}"
