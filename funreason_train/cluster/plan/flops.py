"""Floating-point operations of training and of decoding.

Sources: 2 operations a parameter and token forward, twice that backward (arXiv 2001.08361, appendix B);
causal attention 2 x length x width a token and layer forward, 2.5 times that backward with flash attention
(arXiv 2307.08691, section 4.1); recomputation adds one more forward pass of the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from .shape import Shape


@dataclass(frozen=True)
class Lengths:
    """How long the sequences are.

    Attributes:
        mean: Tokens of a sequence on average.
        spread: Mean of the squared length over the square of the mean: 1 if all are as long; a token attends
            on average to half of mean x spread others.
    """

    mean: float
    spread: float = 1.0

    @property
    def attended(self) -> float:
        """Length of the sequence that the average token stands in."""
        return self.mean * self.spread


def forward(shape: Shape, length: float) -> float:
    """Operations a token of a pass without gradients; `length` is `Lengths.attended`."""
    return 2 * (shape.layers * shape.active_layer + shape.embedding) + _attention(shape, length)


def training(
    shape: Shape, length: float, *, recompute: float = 1.0, frozen: bool = False, learned: float = 1.0
) -> float:
    """Operations a token of a pass forward and backward.

    Args:
        shape: The model.
        length: See `Lengths.attended`.
        recompute: Share of the blocks' forward pass that is computed again.
        frozen: The weights are frozen (LoRA), so that no gradient of them is computed.
        learned: Share of the tokens whose logits are computed.
    """
    passes = 2 + recompute if frozen else 3 + recompute
    head = (2 if frozen else 3) * 2 * shape.embedding * learned
    blocks = 2 * shape.layers * shape.active_layer * passes
    return blocks + head + _attention(shape, length) * (3.5 + recompute)


def _attention(shape: Shape, length: float) -> float:
    return 2 * length * shape.queries * shape.layers
