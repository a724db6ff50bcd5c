"""LoRA (arXiv 2106.09685): small matrices beside frozen weights, instead of full tuning.

Settings and arguments here are pure; `merge.py` puts the trained matrices into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

TYPES = ("full", "lora")


def problems(sft: DictConfig) -> list[str]:
    """Everything wrong with the settings of the tuning method, one sentence each."""
    if sft.finetuning_type not in TYPES:
        return [f"sft.finetuning_type={sft.finetuning_type}: use {' or '.join(TYPES)}"]
    lora, found = sft.lora, []
    if type(lora.rank) is not int or lora.rank < 1:
        found.append(f"sft.lora.rank={lora.rank}: a whole number from 1 on is needed")
    if lora.alpha is not None and (type(lora.alpha) not in (int, float) or lora.alpha <= 0):
        found.append(f"sft.lora.alpha={lora.alpha}: a number above 0 is needed, or null for 2 x rank")
    if type(lora.dropout) not in (int, float) or not 0 <= lora.dropout < 1:
        found.append(f"sft.lora.dropout={lora.dropout}: a number from 0 to below 1 is needed")
    if not lora.target:
        found.append("sft.lora.target: name the layers, or all for every linear layer")
    return found


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
