"""Leaves out work of the forward pass whose result is thrown away; the loss and its gradient stay the same.

Two things, both for training batches padded on the right, as LLaMA-Factory's are:

- Logits of positions that no row learns from. Only the last answer has labels, about a tenth of the tokens.
- The attention mask. Under causal attention no token sees the padding behind it, and without a mask PyTorch
  takes its fused causal kernel, which does half the work and needs no length x length mask.

Loaded inside a training process (imports torch).
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

_IGNORED = -100  # torch's and transformers' label for "no loss here"


def install(model: torch.nn.Module, logits: bool = True) -> None:
    """Makes `model` (a transformers causal language model) take the short cuts while it trains.

    Args:
        model: The model, not its DDP or DeepSpeed wrapper.
        logits: Whether to leave out positions that nothing is learned from, before the output layer.
    """

    def shorten(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        if args or not module.training:
            return None
        return args, lean_inputs(kwargs, logits)

    model.register_forward_pre_hook(shorten, with_kwargs=True)


def liger_shortens() -> bool:
    """Whether Liger's fused loss can be given chosen positions alone.

    It makes no logits, but multiplies every position with the output layer, nine tenths of them for nothing.
    Versions that do not take the shifted labels would compare the positions with other labels.
    """
    from liger_kernel.transformers.model.loss_utils import LigerForCausalLMLoss

    return "shift_labels" in inspect.signature(LigerForCausalLMLoss).parameters


def lean_inputs(inputs: dict[str, Any], logits: bool = True) -> dict[str, Any]:
    """The keyword arguments of the forward pass, shortened.

    Args:
        inputs: `input_ids`, `attention_mask` of 0 and 1, and `labels`, each (batch, length). Another form of
            mask (packed rows, padding on the left) is left alone.
        logits: See `install`.
    """
    mask, labels = inputs.get("attention_mask"), inputs.get("labels")
    lean = dict(inputs)
    if mask is not None and mask.dim() == 2 and "position_ids" not in inputs and _padded_right(mask):
        lean["attention_mask"] = None
    if logits and labels is not None and "shift_labels" not in inputs and "logits_to_keep" not in inputs:
        # The label of a position is the next token, as in transformers' ForCausalLMLoss.
        following = torch.nn.functional.pad(labels, (0, 1), value=_IGNORED)[:, 1:]
        kept = (following != _IGNORED).any(dim=0).nonzero().squeeze(1)
        if len(kept):
            lean |= {"logits_to_keep": kept, "shift_labels": following[:, kept].contiguous()}
    return lean


def _padded_right(mask: torch.Tensor) -> bool:
    """Whether every row is ones and then zeros; packed rows, numbered 1, 2, …, are not."""
    return bool((mask.max() <= 1) & (mask[:, 0].min() == 1) & (mask.diff(dim=1).max() <= 0))
