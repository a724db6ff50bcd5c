"""A small model of another one's architecture, with its tokenizer and chat template and random weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .folder import read_config

#: What is smaller in the copy; a configuration has some of these. Heads are as wide as engines on CPU need.
_SIZES = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "head_dim": 32,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
}
#: Not copied: weights, and what is written anew.
_OTHERWISE = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.gguf", "config.json", ".*")


def known_folder(path: str) -> Path | None:
    """The folder with a model's configuration and tokenizer, if this machine has them; asks no network.

    Args:
        path: A folder or a hub id.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        folder = _cached(path) or folder
    return folder if read_config(folder) is not None and (folder / "tokenizer.json").is_file() else None


def _cached(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def small_sizes(config: dict[str, Any]) -> dict[str, Any]:
    """The sizes of the small copy of a model.

    Args:
        config: The model's `config.json`.
    """
    found = {name: value for name, value in _SIZES.items() if config.get(name) is not None}
    heads, groups = config.get("num_attention_heads"), config.get("num_key_value_heads")
    if heads and groups:  # as many queries share a key as in the model, up to all of them
        found["num_key_value_heads"] = max(1, _SIZES["num_attention_heads"] * groups // heads)
    if config.get("layer_types"):
        found["layer_types"] = config["layer_types"][: _SIZES["num_hidden_layers"]]
    if config.get("max_window_layers") is not None:
        found["max_window_layers"] = _SIZES["num_hidden_layers"]
    return found


def make_small(job: dict[str, Any]) -> None:
    """Writes the small copy; for a process of its own (`call_in_process`).

    Args:
        job: `source` and `target`, folders, and `seed` of the weights.

    Raises:
        Exception: if transformers cannot make such a model small.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    source, target = Path(job["source"]), Path(job["target"])
    config = AutoConfig.from_pretrained(source)
    for name, value in small_sizes(read_config(source) or {}).items():
        setattr(config, name, value)
    torch.manual_seed(job["seed"])
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    work = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work, ignore=shutil.ignore_patterns(*_OTHERWISE))
    model.save_pretrained(work)
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)
