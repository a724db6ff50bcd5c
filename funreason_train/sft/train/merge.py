"""The trained LoRA matrices put into the weights: a plain model folder, compared with the base key by key.

Loaded in a training process after training (imports torch and peft inside the functions).
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models import verify
from ...models.folder import local_folder, read_config
from ...models.weights import ADAPTER, Stored, stored_tensors, tensors_of
from ..lora import changed_tensors

if TYPE_CHECKING:
    from torch import Tensor

#: How far a merged weight may lie from base + scale x B A, relative to the largest weight of its tensor: the
#: rounding of the stored type, with some room for another order of the sums.
_ROUNDING = {"float32": 1e-5, "bfloat16": 2**-7, "float16": 2**-9}


def merge(base: str, adapter: Path, out: Path) -> None:
    """Writes the model `base` with the adapter in its weights to `out`, in the type of the base's weights.

    Args:
        base: The HF folder or hub id that training started from.
        adapter: A folder with peft's adapter_config.json and adapter_model.safetensors.
        out: The new folder, made whole or not at all. Its tokenizer is left to the caller.

    Raises:
        RuntimeError: if what was written differs from base + scale x B A in any tensor.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = local_folder(base)
    before = untied(stored_tensors(folder), folder)
    dtype = _type_of(before)
    # In float32, so that the sum is rounded once, to the stored type.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
    making = out.with_name(f".{out.name}.unverified")
    shutil.rmtree(making, ignore_errors=True)
    merged.to(getattr(torch, dtype)).save_pretrained(making)
    found = verify.key_problems(
        stored_tensors(making),
        {name: Stored(dtype, stored.shape, stored.file) for name, stored in before.items()},
    )
    found = found or list(_value_problems(before, stored_tensors(making), adapter, dtype))
    if found:
        raise RuntimeError(f"the merged model in {making} is not base and adapter together: {found[0]}")
    shutil.rmtree(out, ignore_errors=True)
    making.rename(out)


def untied(tensors: dict[str, Stored], folder: Path) -> dict[str, Stored]:
    """The tensors without an output layer that only repeats the embeddings."""
    if (read_config(folder) or {}).get("tie_word_embeddings"):
        return {name: stored for name, stored in tensors.items() if name != "lm_head.weight"}
    return tensors


def _type_of(tensors: dict[str, Stored]) -> str:
    """The type of most weights; float32 for one that is not to be computed in."""
    types = [stored.dtype for stored in tensors.values() if len(stored.shape) > 1]
    most = max(set(types), key=types.count, default="float32")
    return most if most in _ROUNDING else "float32"


def _value_problems(
    before: dict[str, Stored], after: dict[str, Stored], adapter: Path, dtype: str
) -> Iterator[str]:
    """Compares every tensor: with the base's where the adapter does nothing, else with base + scale x B A."""
    import torch

    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    matrices = tensors_of([adapter / ADAPTER])
    targets = changed_tensors(matrices)
    if strangers := targets.keys() - before.keys():
        yield f"the adapter changes weights that the base does not have: {sorted(strangers)[:3]}"
    if settings.get("use_dora"):  # which scales the columns as well; only finiteness is compared
        targets = dict.fromkeys(targets, "")
    rank = settings["r"]
    scale = settings["lora_alpha"] / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    for name, stored in after.items():
        found, start = _read(stored, name), _read(before[name], name).to(torch.float32)
        if not bool(torch.isfinite(found).all()):
            yield f"{name} holds NaN or infinity"
        elif name not in targets:
            if not torch.equal(found, start.to(found.dtype)):
                yield f"{name} differs from the base though the adapter does not touch it"
        elif prefix := targets[name]:  # empty with DoRA
            up, down = (_read(matrices[f"{prefix}.{part}.weight"], f"{prefix}.{part}.weight").float()
                        for part in ("lora_B", "lora_A"))  # fmt: skip
            wanted = start + scale * (up @ down)
            if (found.float() - wanted).abs().max() > _ROUNDING[dtype] * wanted.abs().max():
                yield f"{name} is not the base's weight and {scale:g} x B A together"


def _read(stored: Stored, name: str) -> Tensor:
    from safetensors import safe_open

    with safe_open(stored.file, framework="pt") as opened:
        tensor: Any = opened.get_tensor(name)
    return tensor  # type: ignore[no-any-return]
