"""Asks the model itself, before the first step on trees, whether one branch can see another.

Settings tell of the kinds of layers that are known (`models.attention.maskable`); this finds the others.
Loaded inside a training process (imports torch).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback

from ...errors import UserError

_LENGTH, _TRUNK, _BRANCH = 128, 8, 6  # tokens; the length is a block of FlexAttention
#: How far logits may move with another branch's tokens, as a share of their spread: rounding alone.
_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 2e-2}


class BranchCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Stops a training whose branches are not apart.

    Every rank looks, for the model may be spread over them.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Runs once, on the model inside any wrapper.

        Raises:
            UserError: if a branch changes what the next one predicts.
        """
        moved = leak(model, args.device)
        if moved > _ROUNDING.get(next(model.parameters()).dtype, 1e-3):
            raise UserError(
                f"in this model one branch of a tree changes what another predicts (by {moved:.2g} of the "
                "logits' spread), so its layers cannot be masked",
                where="sft.tree",
                fix="Set sft.tree=false",
            )


def leak(model: Any, device: Any) -> float:
    """How far the second of two branches moves when the first one's tokens change.

    Args:
        model: A causal language model whose attention reads `ends` (`models.attention.tree_attention`).
        device: Where it is.

    Returns:
        The largest difference of a logit, in standard deviations of the logits.
    """
    first, second = _TRUNK + _BRANCH, _TRUNK + 2 * _BRANCH
    ends = torch.full((_LENGTH,), _LENGTH, device=device)
    ends[:_TRUNK], ends[_TRUNK:first], ends[first:second] = second, first, second
    positions = torch.arange(_LENGTH, device=device)
    positions[first:second] -= _BRANCH
    positions[second:] -= second
    training = model.training
    model.eval()
    logits = []
    with torch.no_grad():
        for shift in (0, 1):
            ids = torch.arange(_LENGTH, device=device) % 5 + 3
            ids[_TRUNK:first] += shift
            found = model(
                input_ids=ids[None],
                position_ids=positions[None],
                attention_mask=ends.view(1, 1, 1, -1),
                use_cache=False,
            )
            logits.append(found.logits[0, first:second].float())
    model.train(training)
    spread = logits[0].std().clamp_min(1e-12)
    return float((logits[0] - logits[1]).abs().max() / spread)
