"""Bytes that a forward and backward pass keeps, besides the states.

Sources: what a block saves is counted tensor by tensor from transformers' Qwen3 and Llama code, as in
"Reducing Activation Recomputation in Large Transformer Models" (arXiv 2205.05198) with flash attention, a
SwiGLU MLP and grouped keys and values. The factors are checked against prime-rl's published peaks for two
models and two lengths: the growth from 16,384 to 65,536 tokens is 415 KB a token for Qwen3-4B and 155 KB for
Qwen3-0.6B, and is 414 and 156 here.

A pass has two moments that can be its fullest: its end forward, where the logits are, and its way back, where
a block is computed again and gradients are on their way.
"""

from __future__ import annotations

from .shape import Shape

#: Bytes of the loss for each logit in 16 bits: the logits, and in fp32 their copy, its log-softmax, the
#: gradient of that and the gradient of the copy (torch.nn.functional.cross_entropy on `logits.float()`).
WHOLE_LOSS = 2 + 4 * 4
#: The same where the logits are fp32 themselves.
WHOLE_LOSS_FP32 = 4 * 4
#: Share of a block's saved numbers that selective recomputation keeps: every second matrix product.
SELECTIVE = 0.5


def saved_numbers(shape: Shape) -> int:
    """Numbers that a block saves for each token.

    Inputs of both norms and the residual (3 x hidden); queries: projected, rotated, and the attention's
    output, with another copy for a norm of queries and keys; keys the same less the output, and values; the
    MLP's gate, up and their product, or without a gate what goes into its activation and comes out.
    """
    norm = 1 if shape.qk_norm else 0
    queries = (3 + norm) * shape.queries
    keys = (3 + norm) * shape.keys
    return 3 * shape.hidden + queries + keys + shape.products * shape.intermediate * max(1, shape.active)


def checkpointed(shape: Shape, tokens: float, number: int = 2) -> float:
    """Bytes kept until the backward pass with every block recomputed: each block's input.

    Args:
        shape: The model.
        tokens: In the pass.
        number: Bytes of a number.
    """
    return tokens * number * shape.layers * shape.hidden


def whole(shape: Shape, tokens: float, number: int = 2) -> float:
    """Bytes kept until the backward pass with nothing recomputed: every block's saved numbers."""
    return tokens * number * shape.layers * saved_numbers(shape)


def autocast(shape: Shape, tokens: float) -> float:
    """Bytes kept with nothing recomputed where fp32 weights are computed with in 16 bits (torch.autocast).

    Counted on transformers' Llama and Qwen3 with saved-tensor hooks: the residual stream and its norms stay
    fp32 (four copies of the hidden size), each product of the block keeps a 16-bit copy of its input of its
    own, and the MLP what its activation gives as well; a norm of queries and keys has both forms.

    Args:
        shape: The model.
        tokens: In the pass.
    """
    inputs = (2 + shape.products) * shape.hidden  # of the products that read the residual stream
    middle = (1 + shape.products) * shape.intermediate * max(1, shape.active)
    attention = 2 * (shape.queries + shape.keys)
    norms = 16 * shape.hidden + (6 * (shape.queries + shape.keys) if shape.qk_norm else 0)
    return tokens * shape.layers * (norms + 2 * (inputs + middle + attention))


def selective(shape: Shape, tokens: float, number: int = 2) -> float:
    """Bytes kept where every second matrix product is recomputed, and all that is cheap (torchtitan)."""
    products = 2 * shape.hidden + shape.queries + 2 * shape.keys + (shape.products - 1) * shape.intermediate
    return tokens * number * shape.layers * (SELECTIVE * products + shape.queries + shape.hidden)


def at_work(shape: Shape, tokens: float, number: int = 2, *, recomputed: bool = True) -> float:
    """Bytes of the block whose backward pass runs: its gradients, and its saved numbers if recomputed."""
    return tokens * number * saved_numbers(shape) * (2 if recomputed else 1)


def frozen(shape: Shape, tokens: float, number: int = 2) -> float:
    """Bytes of a pass without gradients: one block at work."""
    return tokens * number * saved_numbers(shape)


def logits(shape: Shape, tokens: float, *, chunk: float | None = None, half: bool = True) -> float:
    """Bytes of logits and loss.

    Args:
        shape: The model.
        tokens: Whose logits are computed.
        chunk: How many of them at a time; None: all at once.
        half: 16-bit computation.
    """
    at_once = tokens if chunk is None else min(chunk, tokens)
    return at_once * shape.vocab * (WHOLE_LOSS if half else WHOLE_LOSS_FP32)


def liger_chunk(shape: Shape, tokens: float) -> float:
    """Tokens in a chunk of Liger's fused cross-entropy.

    It makes as many chunks as the vocabulary is wider than the hidden size, so that a chunk's logits take
    about what the hidden states do (liger_kernel/ops/fused_linear_cross_entropy.py).
    """
    return max(1.0, tokens / max(1.0, shape.vocab / shape.hidden))
