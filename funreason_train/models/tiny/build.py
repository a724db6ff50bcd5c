"""Building the tiny model as an ordinary Hugging Face folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..tokenizer import END_OF_TEXT, TURN_END, train_tokenizer, wrap_tokenizer
from .induction import begin_with_induction


def build(path: Path, texts: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """Trains the tokenizer, draws the weights and writes both to a folder that every framework loads.

    Args:
        path: The folder; an existing one is replaced once the new one is whole.
        texts: What the tokenizer learns from; only the training split's.
        config: The whole configuration; `seed` draws the weights and `model` gives the sizes
            (see configs/model/tiny.yaml).

    Returns:
        `{"parameters", "vocab_size"}`.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, Qwen3Config

    sizes = config["model"]
    tokenizer = wrap_tokenizer(train_tokenizer(texts, sizes["vocab_size"], sizes["digits"]))
    end, pad = (tokenizer.convert_tokens_to_ids(token) for token in (TURN_END, END_OF_TEXT))
    architecture = Qwen3Config(
        vocab_size=len(tokenizer),  # an engine that pads the vocabulary would shift log-probabilities
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["heads"],
        head_dim=sizes["head_dim"],
        max_position_embeddings=sizes["max_positions"],
        rope_parameters={"rope_type": "default", "rope_theta": sizes["rope_theta"]},
        initializer_range=sizes["initializer_range"],
        tie_word_embeddings=sizes["tie_embeddings"],
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config["seed"])
        model = AutoModelForCausalLM.from_config(architecture, dtype=torch.float32)
    _liken_keys_to_queries(model)
    if sizes["induction"]:
        begin_with_induction(model)
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)

    work = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tokenizer.save_pretrained(work)
    model.save_pretrained(work)
    shutil.rmtree(path, ignore_errors=True)
    work.rename(path)
    return {"parameters": model.num_parameters(), "vocab_size": len(tokenizer)}


def _liken_keys_to_queries(model: Any) -> None:
    """Starts attention where trained models end up: equal tokens attend to each other and pass themselves on.

    Keys start as queries and the output as the values' transpose ("mimetic initialization", Trockman and
    Kolter, arXiv 2305.09828). Copying is what a call needs most, and a model of this size would otherwise
    spend most of its training on discovering it.
    """
    import torch

    with torch.no_grad():
        for layer in model.model.layers:
            attention = layer.self_attn
            attention.k_proj.weight.copy_(attention.q_proj.weight)
            attention.o_proj.weight.copy_(attention.v_proj.weight.T)
