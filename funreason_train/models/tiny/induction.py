"""A start for copying: one induction head over the first two layers of a model with random weights.

What a call needs most is a value from further above, and a model learns to copy in two steps of which neither
is rewarded alone: a head that looks one token back, and one behind it that finds where the present token
stood before and passes on what followed ("induction heads", Olsson et al., arXiv 2209.11895). A model of
a million parameters spends most of a short training on this discovery. So it starts with such a pair, as it
does with keys that are like queries (`tiny`); everything is trained on from there.

The first dimensions of the residual stream are set apart for it: a constant, by which positions can be told
without looking at words; a word's code; and the code of the word before, which the first head writes.
"""

from __future__ import annotations

import math
from typing import Any

#: Energy of the pairs of dimensions that turn fastest with position, so that one place is told from the next.
_TURNS = (0.5, 0.3, 0.2)
_SHARP_BACK, _SHARP_FIND = 1.7, 1.4  # gains of queries and keys where nearly all attention goes to one place
_CONSTANT, _CODE = 4.0, 2.5  # in standard deviations of the other embeddings
_PASS = 2.0  # of what is found, in and out


def has_room(layers: int, hidden_size: int, head_dim: int) -> bool:
    """Whether a model of these sizes can hold the pair of heads."""
    return layers > 1 and head_dim // 2 >= len(_TURNS) and hidden_size > 1 + 2 * _code(head_dim)


def _code(head_dim: int) -> int:
    """Dimensions of a word's code: those of a head that positions hardly turn over a prompt."""
    return 2 * (head_dim // 2 - head_dim // 4)


def begin_with_induction(model: Any) -> None:
    """Sets the weights of the first head of each of the first two layers.

    Args:
        model: A Qwen3 with random weights, a key and value for each head and normalised queries and keys, of
            sizes that have room.
    """
    import torch

    sizes, layers = model.config, model.model.layers
    width, half = sizes.head_dim, sizes.head_dim // 2
    slow = [*range(half // 2, half), *range(half + half // 2, width)]  # as good as unturned over a prompt
    count = _code(width)
    before, own = range(1, 1 + count), range(1 + count, 1 + 2 * count)
    back, find = (layer.self_attn for layer in layers[:2])
    scale = sizes.initializer_range
    with torch.no_grad():
        words = model.model.embed_tokens.weight
        words[:, 0] = _CONSTANT * scale
        words[:, before] = 0
        words[:, own] *= _CODE
        for weight in (back.o_proj.weight, layers[0].mlp.down_proj.weight):
            weight[: 1 + 2 * count] = 0  # nothing else of the first layer writes there
        for head in (back, find):
            for part in (head.q_proj, head.k_proj, head.v_proj):
                part.weight[:width] = 0
            head.o_proj.weight[:, :width] = 0
        for pair, energy in enumerate(_TURNS):
            turn = sizes.rope_parameters["rope_theta"] ** (-pair / half)
            for norm in (back.q_norm, back.k_norm):
                norm.weight[[pair, pair + half]] = _SHARP_BACK
            back.k_proj.weight[pair, 0] = math.sqrt(energy)
            back.q_proj.weight[pair, 0] = math.sqrt(energy) * math.cos(turn)
            back.q_proj.weight[pair + half, 0] = -math.sqrt(energy) * math.sin(turn)
        for norm in (find.q_norm, find.k_norm):
            norm.weight[slow] = _SHARP_FIND
        for number in range(count):
            back.v_proj.weight[number, own[number]] = 1
            back.o_proj.weight[before[number], number] = scale
            find.q_proj.weight[slow[number], own[number]] = 1
            find.k_proj.weight[slow[number], before[number]] = 1
            find.v_proj.weight[number, own[number]] = _PASS
            find.o_proj.weight[own[number], number] = _PASS
