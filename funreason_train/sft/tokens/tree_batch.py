"""Batches of lines of trees, and of rows whose thoughts and answers are told apart.

Loaded inside a training process (imports torch).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch

_MULTIPLE = 8  # tokens; what tensor cores like a length to be a multiple of
#: What a batch holds for `train.objective` and not for the model.
SEGMENTS, SPLIT = "segments", "split_tokens"
PLACES, TARGETS = "logits_to_keep", "shift_labels"


class TreeCollator:
    """Joins lines of trees into a batch of one line.

    The batch names the positions whose logits predict (`logits_to_keep`) and what they predict
    (`shift_labels`), as transformers' causal models take them: where rows part, one position predicts several
    tokens. `labels` holds the same tokens once more, for the trainer, which counts them.

    Args:
        tokenizer: For the id of padding.
        multiple: What the length is padded to a multiple of.
    """

    def __init__(self, tokenizer: Any, multiple: int = _MULTIPLE) -> None:
        self.pad, self.multiple = tokenizer.pad_token_id, multiple

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch.

        Args:
            features: Lines as `tables.line` writes them.

        Returns:
            `input_ids` and `position_ids` (1, T), `attention_mask` (1, 1, 1, T) as
            `models.attention.tree_attention` reads it, `logits_to_keep` (K,), `shift_labels`, `labels` and
            `segments` (1, K), and `split_tokens` (1, 1), the tokens of the rows alone.
        """
        columns: dict[str, list[int]] = {
            name: [] for name in ("input_ids", "position_ids", "ends", "places", "labels", "segments")
        }
        for one in features:
            begin = len(columns["input_ids"])
            for name in ("input_ids", "position_ids", "labels", "segments"):
                columns[name] += one[name]
            for name in ("ends", "places"):
                columns[name] += [begin + place for place in one[name]]
        length = len(columns["input_ids"])
        left = -length % self.multiple
        columns["input_ids"] += [self.pad] * left
        columns["position_ids"] += range(left)
        columns["ends"] += [length + left] * left
        line = {name: torch.tensor(column, dtype=torch.long) for name, column in columns.items()}
        return {
            "input_ids": line["input_ids"][None],
            "position_ids": line["position_ids"][None],
            "attention_mask": line["ends"].view(1, 1, 1, -1),
            "labels": line["labels"][None],
            PLACES: line["places"],
            TARGETS: line["labels"][None].clone(),
            SEGMENTS: line["segments"][None],
            SPLIT: torch.tensor([[sum(int(one["split"]) for one in features)]]),
        }


class SegmentCollator:
    """Another collator's batch with the segments of its rows, padded as their labels are.

    Args:
        inner: The other one.
    """

    def __init__(self, inner: Callable[[list[dict[str, Any]]], Any]) -> None:
        self.inner = inner

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch, with `segments` of the form of `labels`."""
        segments = [list(one[SEGMENTS]) for one in features]
        others = [{name: column for name, column in one.items() if name != SEGMENTS} for one in features]
        batch = dict(self.inner(others))
        lines, width = batch["labels"].shape
        if lines < len(segments):  # packed rows in one line
            segments = [list(chain.from_iterable(segments))]
        rows = [one + [0] * (width - len(one)) for one in segments]
        batch[SEGMENTS] = torch.tensor(rows)
        return batch


def use_trees(multiple: int = _MULTIPLE) -> None:
    """Makes LLaMA-Factory's SFT take its batches from a `TreeCollator`, in this process.

    Args:
        multiple: See `TreeCollator`.
    """
    from llamafactory.train.sft import workflow

    def collator(*, tokenizer: Any, **_: Any) -> TreeCollator:
        return TreeCollator(tokenizer, multiple)

    workflow.SFTDataCollatorWith4DAttentionMask = collator


def use_segments() -> None:
    """Puts a `SegmentCollator` around the collator of LLaMA-Factory's SFT, whichever it is by now."""
    from llamafactory.train.sft import workflow

    before = workflow.SFTDataCollatorWith4DAttentionMask

    def collator(**given: Any) -> SegmentCollator:
        return SegmentCollator(before(**given))

    workflow.SFTDataCollatorWith4DAttentionMask = collator
