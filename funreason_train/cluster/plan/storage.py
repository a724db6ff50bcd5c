"""Bytes on disk and in host memory that the stages take, from the number of parameters.

Source: transformers and verl save fp32 weights and Adam's two moments (12 bytes a parameter) and, at the end,
a model folder of 4 bytes a parameter; every training process reads the whole model before
it is shared out.
"""

from __future__ import annotations

#: Of a checkpoint and parameter: the weights and Adam's two moments, all in fp32.
CHECKPOINT = 12
#: Of a model folder and parameter, in fp32.
MODEL = 4
#: Of a token in the tensors of a step: ids, positions and mask of 8 bytes; old, reference and rollout
#: log-probabilities, advantage and reward of 4 (verl's fields of a batch).
TOKEN = 3 * 8 + 5 * 4


def sft_disk(parameters: int, kept: int | None) -> int:
    """Bytes below RUN_DIR/sft; a checkpoint is written before the oldest is removed.

    Args:
        parameters: Trained ones of the model.
        kept: Checkpoints that are kept; None if none is written.
    """
    return parameters * (MODEL + (0 if kept is None else (kept + 1) * CHECKPOINT))


def rl_disk(parameters: int, kept: int) -> int:
    """Bytes below RUN_DIR/rl: once, however many groups of workers hold the weights (rl/verl/copies.py)."""
    return parameters * (kept + 1) * CHECKPOINT


def export_disk(parameters: int) -> int:
    """Bytes of the exported model."""
    return parameters * MODEL


def loading(parameters: int, processes: int) -> int:
    """Bytes of host memory of a machine while its processes load the model."""
    return parameters * MODEL * max(1, processes)
