"""Whether `config.json` describes the weights beside it, told by their headers before anything is loaded.

A folder put together by hand, or a config edited for a smaller model, otherwise fails on every worker minutes
after the start, or trains layers that were never loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .weights import Stored, stored_tensors

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings)\.weight$")


def config_problems(config: Mapping[str, Any] | None, folder: Path) -> list[str]:
    """Every contradiction between a model's config.json and its weights, as a sentence.

    Args:
        config: What config.json holds, or None if it cannot be read.
        folder: Where the whole weights are. Names of tensors that are not known here, and sizes that the
            config leaves out, are passed over.
    """
    if config is None:
        return []
    text = config.get("text_config")
    sizes: Mapping[str, Any] = {**config, **text} if isinstance(text, dict) else config
    tensors = stored_tensors(folder)
    return [
        f"config.json does not describe the weights beside it: {text}. Use the config.json that came with "
        "them"
        for text in (*_layer_problems(sizes, tensors), *_shape_problems(sizes, tensors))
    ]


def _layer_problems(sizes: Mapping[str, Any], tensors: Mapping[str, Stored]) -> list[str]:
    layers = _whole(sizes, "num_hidden_layers")
    found = {int(match[1]) for name in tensors if "mtp." not in name and (match := _LAYER.search(name))}
    if layers is None or not found or max(found) + 1 == layers:
        return []
    return [f"num_hidden_layers is {layers}, the weights have {max(found) + 1}"]


def _shape_problems(sizes: Mapping[str, Any], tensors: Mapping[str, Stored]) -> Iterator[str]:
    told: set[str] = set()  # a wrong size shows in every layer
    for name, stored in tensors.items():
        if len(stored.shape) != 2:
            continue
        for place, (label, number) in enumerate(_expected(name, sizes)):
            if number is not None and stored.shape[place] != number and label not in told:
                told.add(label)
                yield f"{label} is {number}, {_kind(name)} of the weights says {stored.shape[place]}"


def _expected(name: str, sizes: Mapping[str, Any]) -> tuple[tuple[str, int | None], ...]:
    """What each dimension of a tensor should be, with the words for it; empty if the name tells nothing."""
    hidden, vocab = ("hidden_size", _whole(sizes, "hidden_size")), ("vocab_size", _whole(sizes, "vocab_size"))
    if _EMBEDDING.search(name) or name.endswith("lm_head.weight"):
        return (vocab, hidden)
    if ".experts." in name or "shared_expert" in name:
        return ()
    middle = ("intermediate_size", _whole(sizes, "intermediate_size"))
    heads, kv = _whole(sizes, "num_attention_heads"), _whole(sizes, "num_key_value_heads")
    width = _whole(sizes, "head_dim")
    if width is None and heads and hidden[1] and hidden[1] % heads == 0:
        width = hidden[1] // heads
    queries = ("num_attention_heads x head_dim", heads * width if heads and width else None)
    keys = ("num_key_value_heads x head_dim", kv * width if kv and width else None)
    table = {
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (middle, hidden),
        "mlp.up_proj.weight": (middle, hidden),
        "mlp.down_proj.weight": (hidden, middle),
    }
    return next((wanted for end, wanted in table.items() if name.endswith(end)), ())


def _kind(name: str) -> str:
    return ".".join(name.removesuffix(".weight").split(".")[-2:])


def _whole(sizes: Mapping[str, Any], name: str) -> int | None:
    value = sizes.get(name)
    return value if type(value) is int and value > 0 else None
