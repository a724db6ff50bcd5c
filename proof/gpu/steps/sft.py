"""SFT by the command: a model as wide as the 4B, whole, bf16 with ZeRO, packed rows of 32,768 tokens."""

from __future__ import annotations

import shutil
from typing import Any

import material

from . import Job
from .stages import card, command, finish, lines

#: Dense bf16 peak in TFLOP/s (NVIDIA's data sheets).
_PEAK = {"H100": 989.4, "H200": 989.4, "H20": 148.0, "A100": 312.0}
#: A GPU with so much memory holds all 36 layers with Adam (18 bytes a parameter); half of them fit 80 GB.
_WHOLE_GIB = 130


def run(job: Job) -> None:
    """Trains a few steps; notes tokens a second, the share of the card's peak, and the loss."""
    sizes = {**material.TINY} if job.tiny else {**material.FOUR_B, "num_hidden_layers": _layers()}
    base, run_dir = job.work / "sft_model", job.work / "sft"
    shutil.rmtree(run_dir, ignore_errors=True)
    parameters = material.model(base, sizes, job.device)
    length, steps, per_step = (256, 3, 2) if job.tiny else (32768, 6, 2)
    row = 40 if job.tiny else 3000
    material.sft_rows(run_dir / "data" / "sft", [row] * (length * (per_step * steps + 1) // row))
    job.note(parameters=parameters, layers=sizes["num_hidden_layers"], length_tokens=length)
    words = [f"global_batch={per_step}", "per_device_batch=1", "packing=true", f"cutoff_len={length}"]
    rate = "1e-2" if job.tiny else "1e-4"
    words += [f"max_steps={steps}", "logging_steps=1", "save_steps=null", f"learning_rate={rate}"]
    seconds = finish(command("sft", job, run_dir, f"model={base}", *words))
    found = lines(run_dir / "sft" / "metrics.jsonl")
    speed = _speed(found)
    per_token = flops(sizes, parameters, _row_tokens(found, row))
    peak = _peak() if job.device == "cuda" else None
    job.note(
        command_s=seconds,
        first_loss=found[0]["loss"],
        last_loss=found[-1]["loss"],
        tokens_per_s=round(speed, 1),
        mfu_percent=round(100 * speed * per_token / (peak * 1e12), 1) if peak else None,
        zero=job.device == "cuda",
    )
    shutil.rmtree(base)
    shutil.rmtree(run_dir / "sft", ignore_errors=True)


def _layers() -> int:
    import torch

    return 36 if torch.cuda.get_device_properties(0).total_memory / 2**30 > _WHOLE_GIB else 18


def _peak() -> float | None:
    """The card's, by its name; the longer name first, for H20 begins H200's."""
    name = card()
    return next((_PEAK[key] for key in sorted(_PEAK, key=len, reverse=True) if key in name), None)


def _speed(found: list[dict[str, Any]]) -> float:
    """Tokens a second from the first logged step to the last: the first one compiles kernels."""
    tokens = found[-1]["tokens"] - found[0]["tokens"]
    return float(tokens) / max(1e-9, found[-1]["seconds"] - found[0]["seconds"])


def _row_tokens(found: list[dict[str, Any]], words: int) -> float:
    """How long a row is, roughly: an answer is a quarter of the user's words, and a word about two tokens."""
    return words * 1.25 * 2


def flops(sizes: dict[str, Any], parameters: int, row: float) -> float:
    """Of one token, forward and backward, without what checkpointing computes twice.

    6 a parameter (the vocabulary's matrix multiplies once, as the head), and attention's scores and sums over
    half a row on average: 3 x 4 x heads x head size x row / 2 a layer.
    """
    width = sizes["num_attention_heads"] * sizes["head_dim"]
    return 6.0 * parameters + 6.0 * sizes["num_hidden_layers"] * width * row
