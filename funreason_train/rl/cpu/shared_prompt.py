"""Samples of one prompt in one row: the prompt is computed once for its whole group (pure torch).

GRPO trains on n answers to each prompt, so n-1 of n passes over the prompt are the same work again. Here the
rows of a batch are laid out as PROMPT ANSWER ANSWER … PROMPT ANSWER …; an answer sees its own prompt and
itself, its positions continue those of the prompt, and so every token gets exactly the log-probability it has
in a row of its own. The same idea: prefix-grouper, verl's `use_prefix_grouper`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.attention.tree_attention import visible


@dataclass(frozen=True)
class Layout:
    """How the samples of a batch lie in one row of T tokens.

    Attributes:
        ids: (1, T) token ids.
        positions: (1, T) position of each token in its own sample.
        mask: (1, 1, T, T) whether the query (third axis) sees the key (last axis).
        kept: (K,) positions in the row whose logits predict an answer's token.
        rows: (A,) for each answer token of each sample, in order, the index in `kept` that predicts it.
        labels: (A,) the answer tokens.
        targets: (A,) where in the samples' own concatenated tokens the log-probability of each belongs: the
            position before the token, as everywhere in verl.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    kept: Tensor
    rows: Tensor
    labels: Tensor
    targets: Tensor


def groups(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """The samples of each prompt: indices of equal prompts together, in order of first appearance."""
    found: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        found.setdefault(tuple(prompt), []).append(index)
    return list(found.values())


def layout(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Layout:
    """Lays samples out in one row.

    Args:
        prompts: The prompt of each sample; at least one token each.
        answers: The answer of each sample.
    """
    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []  # see `models.attention.tree_attention`: a prompt's end with its last answer
    kept: list[int] = []
    row_of: dict[tuple[int, int], int] = {}  # (sample, position in the answer) -> index in `kept`
    for samples in groups(prompts):
        prompt = prompts[samples[0]]
        ids += prompt
        positions += range(len(prompt))
        ends += [len(ids) + sum(len(answers[sample]) for sample in samples)] * len(prompt)
        first = len(kept)
        kept.append(len(ids) - 1)
        for sample in samples:
            answer = answers[sample]
            for at in range(len(answer)):
                row_of[sample, at] = first if at == 0 else len(kept)
                if at:
                    kept.append(len(ids) + at - 1)
            ids += answer
            positions += range(len(prompt), len(prompt) + len(answer))
            ends += [len(ids)] * len(answer)
    rows: list[int] = []
    labels: list[int] = []
    targets: list[int] = []
    start = 0
    for sample, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        rows += [row_of[sample, at] for at in range(len(answer))]
        labels += answer
        targets += range(start + len(prompt) - 1, start + len(prompt) + len(answer) - 1)
        start += len(prompt) + len(answer)
    return Layout(
        ids=torch.tensor(ids)[None],
        positions=torch.tensor(positions)[None],
        mask=visible(torch.tensor(ends))[None, None],
        kept=torch.tensor(kept, dtype=torch.long),
        rows=torch.tensor(rows, dtype=torch.long),
        labels=torch.tensor(labels, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
    )


def packs(prompts: Sequence[Sequence[int]], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Divides samples into rows of at most `budget` tokens, keeping those of one prompt together.

    Args:
        prompts: The prompt of each sample.
        lengths: The answer's length of each sample.
        budget: Tokens a row may have, prompts counted once; a single sample may exceed it.

    Returns:
        The indices of the samples of each row.
    """
    rows: list[list[int]] = []
    used = budget + 1
    for samples in groups(prompts):
        prompt = len(prompts[samples[0]])
        whole = prompt + sum(lengths[sample] for sample in samples)
        if used + whole <= budget:
            rows[-1] += samples
            used += whole
            continue
        used = budget + 1
        for sample in samples:  # a group of its own, cut where the budget ends
            if used + lengths[sample] > budget:
                rows.append([])
                used = prompt
            rows[-1].append(sample)
            used += lengths[sample]
    return rows
