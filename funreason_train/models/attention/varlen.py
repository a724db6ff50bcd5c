"""Attention of packed rows without flash-attn: torch's own variable-length kernel, for SFT and RL alike.

Without the package flash-attn, transformers computes packed rows with a dense mask: no flash kernel, no
grouped queries, length x length scores. `torch.nn.attention.varlen` takes the rows' boundaries instead. It is
registered under the name `varlen`; transformers makes no mask for a name that has no mask function
(masking_utils.py), so the boundaries come from the positions: a row begins wherever they do not go on by one.

Imports torch and transformers inside the functions.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: The name in transformers' `attn_implementation`.
VARLEN = "varlen"
FLASH = "flash_attention_2"


def choose(wanted: str, device: str) -> str:
    """The attention of a trained model by transformers' name.

    Args:
        wanted: A name, or `auto`: flash-attn where it is installed, else `varlen` on a GPU, else sdpa.
        device: `cpu` or `cuda`, where training runs; flash-attn is looked for on this machine.
    """
    if wanted != "auto":
        return wanted
    if device != "cuda":
        return "sdpa"
    return FLASH if importlib.util.find_spec("flash_attn") else VARLEN


def fits(config: Any) -> bool:
    """Whether a model's attention is one that `varlen` computes: plain scores, heads of at most 256."""
    if getattr(config, "attn_logit_softcapping", None) or getattr(config, "model_type", "") == "gpt_oss":
        return False
    heads = getattr(config, "num_attention_heads", None)
    width = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
    return bool(width <= 256 and not getattr(config, "attention_dropout", 0.0))


def boundaries(positions: Tensor) -> Tensor:
    """Where rows begin and end in a flattened batch.

    Args:
        positions: (batch, length), counting up by one within a row. Each line of the batch begins a row.

    Returns:
        (rows + 1,) of int32 from 0 to batch x length: what flash kernels call `cu_seqlens`.
    """
    import torch

    begins = torch.ones_like(positions, dtype=torch.bool)
    begins[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    places = begins.flatten().nonzero().squeeze(1)
    end = places.new_tensor([positions.numel()])
    return torch.cat([places, end]).to(torch.int32)


def varlen_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    position_ids: Tensor | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Causal attention in which each row of a packed batch sees only itself.

    Args:
        module: The attention layer.
        query: (batch, heads, length, size).
        key: (batch, key heads, length, size); heads are a multiple of key heads.
        value: As the key.
        attention_mask: None; transformers makes none for this name.
        dropout: Has to be 0.
        scaling: Of the scores; None: size ** -0.5.
        sliding_window: How many tokens a token sees, itself included; None: all before it.
        position_ids: (batch or 1, length); None: each line of the batch is one row.
        **more: Whatever else transformers passes; soft-capped scores and sinks are refused.

    Returns:
        (batch, length, heads, size), and None for the weights.

    Raises:
        ValueError: for what the kernel does not do: a mask, dropout, or keys from a cache.
    """
    import torch

    batch, heads, length, size = query.shape
    if more.get("softcap") is not None or more.get("s_aux") is not None:
        raise ValueError("varlen attention has neither soft-capped scores nor sinks; use attention=sdpa")
    if attention_mask is not None or dropout or key.shape[2] != length:
        raise ValueError("varlen attention takes no mask, no dropout and no cache; use attention=sdpa")
    if position_ids is None:
        position_ids = torch.arange(length, device=query.device)[None]
    cuts, longest = _cuts(position_ids.expand(batch, length))
    flat = [one.transpose(1, 2).reshape(batch * length, one.shape[1], size) for one in (query, key, value)]
    window = (-1 if sliding_window is None else sliding_window - 1, 0)
    scale = size**-0.5 if scaling is None else scaling
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        from torch.nn.attention.varlen import varlen_attn

        found: Any = varlen_attn(*flat, cuts, cuts, longest, longest, scale=scale, window_size=window)
    else:
        found = _row_by_row(flat, cuts, scale, window[0])
    return found.reshape(batch, length, heads, size), None


_LAST: dict[str, Any] = {}


def _cuts(positions: Tensor) -> tuple[Tensor, int]:
    """The boundaries and the longest row, worked out once for all layers of a pass."""
    # The tensor itself is kept, so that its storage cannot become another one's with the same address.
    mark = (positions.data_ptr(), positions._version, positions.shape)
    if _LAST.get("mark") != mark:
        cuts = boundaries(positions)
        _LAST.update(mark=mark, kept=positions, cuts=cuts, longest=int(cuts.diff().max()))
    return _LAST["cuts"], _LAST["longest"]


def _row_by_row(flat: list[Tensor], cuts: Tensor, scale: float, back: int) -> Tensor:
    """The same interface and arithmetic with torch's dense attention, where there is no kernel."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    found = []
    for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        one = [part[start:end].transpose(0, 1)[None] for part in flat]
        mask = None
        if 0 <= back < end - start - 1:
            places = torch.arange(end - start, device=cuts.device)
            distance = places[:, None] - places[None]
            mask = (distance >= 0) & (distance <= back)
        grouped = flat[0].shape[1] != flat[1].shape[1]
        row = scaled_dot_product_attention(
            *one, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
        )
        found.append(row[0].transpose(0, 1))
    return torch.cat(found)


#: The module that registers when it is imported, as verl's `model.external_lib` does.
LIBRARY = f"{__package__}.library"


def register() -> None:
    """Makes `attn_implementation="varlen"` known to transformers, in this process."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(VARLEN, varlen_attention)
