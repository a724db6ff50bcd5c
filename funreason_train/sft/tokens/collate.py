"""Batches of packed rows: one line of all their tokens, each row with positions of its own.

LLaMA-Factory's own collator makes a dense mask of length x length for packed rows unless the attention is
that of flash-attn, and leaves positions shorter than the ids it pads. Loaded inside a training process
(imports torch).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...models.attention import FLASH, VARLEN
from .packing import IGNORED

_MULTIPLE = 8  # tokens; what tensor cores like a length to be a multiple of


class PackedCollator:
    """Joins sequences of packed rows into a batch of one line.

    Args:
        tokenizer: For the id of padding.
        attention: The model's attention by transformers' name. The two that take rows' boundaries from their
            positions need no mask; any other gets a dense one.
        dtype: Of a dense mask.
    """

    def __init__(self, tokenizer: Any, attention: str, dtype: torch.dtype = torch.float32) -> None:
        self.pad, self.dense, self.dtype = tokenizer.pad_token_id, attention not in (FLASH, VARLEN), dtype

    def __call__(self, features: Sequence[Mapping[str, list[int]]]) -> dict[str, torch.Tensor]:
        """One batch.

        Args:
            features: Sequences as `packing.joined` makes them.

        Returns:
            `input_ids`, `labels` and `position_ids`, each (1, tokens), and perhaps an `attention_mask`
            (1, 1, tokens, tokens) of 0 and a very small number.
        """
        line: dict[str, list[int]] = {name: [] for name in ("input_ids", "labels", "position_ids")}
        for one in features:
            for name, column in line.items():
                column += one[name]
        left = -len(line["input_ids"]) % _MULTIPLE
        line["input_ids"] += [self.pad] * left
        line["labels"] += [IGNORED] * left
        line["position_ids"] += range(left)
        batch = {name: torch.tensor([column]) for name, column in line.items()}
        if self.dense:
            batch["attention_mask"] = dense_mask(batch["position_ids"], self.dtype)
        return batch


def dense_mask(positions: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Which token sees which, for rows that begin wherever positions do not go on by one.

    Args:
        positions: (1, tokens).
        dtype: Of the mask.

    Returns:
        (1, 1, tokens, tokens): 0 where the column's token is seen by the row's, else the least number.
    """
    begins = torch.ones_like(positions, dtype=torch.bool)
    begins[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    row = begins.cumsum(1)
    seen = (row[:, :, None] == row[:, None, :]).tril()
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return mask[:, None]


def use_packed_batches(attention: str) -> None:
    """Makes LLaMA-Factory's SFT take its batches from a `PackedCollator`, in this process.

    Args:
        attention: See `PackedCollator`.
    """
    from llamafactory.train.sft import workflow

    def collator(*, tokenizer: Any, compute_dtype: torch.dtype | None = None, **_: Any) -> PackedCollator:
        return PackedCollator(tokenizer, attention, compute_dtype or torch.float32)

    workflow.SFTDataCollatorWith4DAttentionMask = collator
