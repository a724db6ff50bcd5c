"""Measured trainings that others have published: settings and figures as data, with the source of each.

What a source does not say is noted in `unsaid`, and what was put in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PRIME_RL = "prime-rl, benchmarks/results/BENCHMARKS.md of 2026-02-07"
VERL = "verl, docs/advance/fully_async.md"


@dataclass(frozen=True)
class Row:
    """One published training.

    Attributes:
        number: Of the row in the list of sixteen.
        model: A name of `cluster.plan.shape.KNOWN`.
        gpu: A name of `GPUS` in plan_error.py.
        gpus: How many.
        tokens: Of one pass of one GPU.
        source: Where it is published.
        shards: Over how many GPUs the states are shared out.
        states: `fsdp` (fp32 shards), `zero2`, `zero3`, `lora` (frozen weights in fp32), `bf16` (all of it).
        activations: `checkpointed`, `selective` or `whole`.
        loss_chunk: Tokens whose logits exist at once; None: all.
        length: Of a sequence, in tokens, for attention; None: as `tokens`.
        passes: Of the measured time.
        seconds: Measured; None where only memory is.
        gib: Measured; None where only time is.
        unsaid: What is not published.
        miss: Why the plan is off by more than its goal, where it is.
    """

    number: int
    model: str
    gpu: str
    gpus: int
    tokens: int
    source: str
    shards: int = 8
    states: Literal["fsdp", "zero2", "zero3", "lora", "bf16"] = "fsdp"
    activations: Literal["checkpointed", "selective", "whole"] = "checkpointed"
    loss_chunk: int | None = None
    length: float | None = None
    passes: float = 1.0
    seconds: float | None = None
    gib: float | None = None
    unsaid: str = ""
    miss: str = ""


@dataclass(frozen=True)
class RlRow:
    """One published training with rollouts on the same GPUs: seconds of a step and of its parts.

    Attributes:
        number: Of the row in the list of sixteen.
        model: A name of `cluster.plan.shape.KNOWN`.
        gpus: H20.
        longest: Tokens of the longest response.
        step: Measured seconds of a step; `rollouts`, `old` and `update` of its parts, None if not published.
        source: Where it is published.
        old_passes: Passes without gradient: 2 with a reference model.
        unsaid: What is not published.
        miss: Why the plan is off by more than its goal, where it is.
    """

    number: int
    model: str
    gpus: int
    longest: int
    step: float
    rollouts: float
    old: float
    update: float
    source: str
    old_passes: int = 1
    unsaid: str = "lengths of the responses; the mean that the update on 32 GPUs implies is taken"
    miss: str = ""


_FUSED = 2048  # tokens of a chunk of prime-rl's fused head in RL
_LATER = "the time of a pass also holds what the RL trainer does between passes (weights to files, waiting)"
_B200 = (
    "FlashAttention 2 is not written for Blackwell: the same table has 9 to 16 % of its peak for all models"
)

ROWS = (
    Row(1, "qwen3-4b", "h100", 8, 16384, PRIME_RL, seconds=2.64, gib=54.6),
    Row(2, "qwen3-4b", "h200", 8, 16384, PRIME_RL, seconds=2.47, gib=54.6),
    Row(3, "qwen3-4b", "b200", 8, 65536, PRIME_RL, seconds=19.86, gib=171.5, miss=f"time: {_B200}"),
    Row(
        4,
        "qwen3-4b",
        "h100",
        8,
        16384,
        PRIME_RL,
        loss_chunk=_FUSED,
        seconds=5.04,
        gib=17.1,
        miss=f"time: {_LATER}, 2.4 s more than the same pass of SFT; at 65,536 tokens it no longer shows",
    ),
    Row(5, "qwen3-4b", "h100", 8, 65536, PRIME_RL, loss_chunk=_FUSED, seconds=18.10, gib=36.1),
    Row(
        6,
        "qwen3-4b",
        "h100",
        1,
        16384,
        PRIME_RL,
        shards=1,
        states="lora",
        loss_chunk=_FUSED,
        seconds=2.63,
        gib=23.3,
        unsaid="prime-rl's benchmark holds four adapters (max-concurrent-runs=4), and so does the plan",
    ),
    Row(
        7,
        "qwen3-0.6b",
        "h100",
        1,
        8192,
        PRIME_RL,
        shards=1,
        seconds=8192 / 26010,
        gib=31.7,
        miss="time: at a width of 1,024 kernels wait for memory; the share is that of larger models",
    ),
    Row(7, "qwen3-0.6b", "h100", 1, 16384, PRIME_RL, shards=1, seconds=16384 / 25490, gib=52.8),
    Row(
        13,
        "qwen2.5-14b",
        "a100",
        8,
        8192,
        "ms-swift, Megatron-SWIFT/Quick-start.md and examples/megatron/benchmark/deepspeed.sh",
        states="zero2",
        passes=2,
        seconds=10.32,
        gib=80,
    ),
    Row(
        13,
        "qwen2.5-14b",
        "a100",
        8,
        8192,
        "the same, with ZeRO-3",
        states="zero3",
        passes=2,
        seconds=10.56,
        gib=58,
    ),
    Row(
        14,
        "llama-3.1-8b",
        "h100",
        8,
        16384,
        "torchtitan, benchmarks/llama3_h100_202412_torchtitan.md, table 1",
        activations="selective",
        length=8192,
        seconds=16384 / 5762,
        gib=82.4,
    ),
    Row(
        15,
        "llama-3.2-3b",
        "a100",
        1,
        8192,
        "torchtune, README.md, optimization flags: packed data set",
        shards=1,
        states="bf16",
        activations="whole",
        length=4096,
        gib=60.0,
    ),
    Row(
        15,
        "llama-3.2-3b",
        "a100",
        1,
        8192,
        "the same, compiled, chunked loss, activation checkpointing",
        shards=1,
        states="bf16",
        loss_chunk=1024,
        length=4096,
        gib=24.9,
    ),
    Row(
        16,
        "granite-3.3-8b",
        "h100",
        8,
        16384,
        "training_hub, docs/guides/runtime-estimates.md: 16,710 samples of 6,023 tokens",
        length=(6023.17**2 + 5354.54**2) / 6023.17,
        passes=16710 * 6023.17 / 8 / 16384,
        seconds=35 * 60 + 47,
        unsaid="tokens of a pass (16,384 taken; time does not depend on it here)",
    ),
)

_TAIL = "a rank has 4 samples of an update here, so the longest of them decides, and its length is not known"

RL_ROWS = (
    RlRow(8, "qwen2.5-math-7b", 64, 28672, 365.28, 150.72, 70.26, 133.41, VERL),
    RlRow(9, "qwen2.5-math-7b", 128, 28672, 356.30, 177.85, 53.92, 113.81, VERL, miss=_TAIL),
    RlRow(
        10,
        "qwen2.5-math-7b",
        32,
        20480,
        749.0,
        321.0,
        88.0,
        286.0,
        "verl, docs/advance/one_step_off.md",
    ),
    RlRow(
        11,
        "qwen3-30b-a3b",
        128,
        8192,
        497.89,
        348.05,
        28.73 + 20.86,
        86.27,
        VERL,
        old_passes=2,
        miss="the products of 128 experts are small and reach a fraction of what dense ones do",
    ),
)

#: Row 12: verl, examples/prefix_grouper/README.md, Qwen3-4B on 4 H800, 4 samples a prompt, 8K of context.
#: Batch and lengths are not published, so only the ratio of the times of the update can be planned.
#: A response of an eighth of the context is assumed.
PREFIX_GROUPER = {"samples": 4, "context": 8192, "update": (10.18, 5.98), "step": (24.71, 19.48)}
PREFIX_MISS = (
    "neither batch nor lengths are published; with prompts of 55 % of the context the ratio would be this one"
)
