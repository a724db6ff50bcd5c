"""LoRA (arXiv 2106.09685): small matrices beside frozen weights, instead of full tuning.

Settings and arguments here are pure; `merge.py` puts the trained matrices into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def arguments(sft: DictConfig) -> dict[str, Any]:
    """LLaMA-Factory's arguments for the tuning method."""
    if sft.finetuning_type == "full":
        return {"finetuning_type": "full"}
    lora = sft.lora
    alpha = 2 * lora.rank if lora.alpha is None else lora.alpha
    target = lora.target if isinstance(lora.target, str) else ",".join(lora.target)
    return {
        "finetuning_type": "lora",
        "lora_rank": lora.rank,
        "lora_alpha": alpha,
        "lora_dropout": float(lora.dropout),
        "lora_target": target,
    }


def changed_tensors(adapter: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """Which weights of the model an adapter changes.

    Args:
        adapter: The names of its tensors, as peft saves them (`base_model.model.NAME.lora_A.weight`).

    Returns:
        Name of a weight of the model -> the prefix of its matrices in the adapter.
    """
    prefix, end = "base_model.model.", ".lora_A.weight"
    return {
        name.removeprefix(prefix).removesuffix(end) + ".weight": name.removesuffix(end)
        for name in adapter
        if name.endswith(end)
    }
