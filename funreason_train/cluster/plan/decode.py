"""Memory and time of rollouts in vLLM.

Source: vLLM allots its cache from the share of the device that it is given, less weights and what a profiling
pass takes (vllm/v1/worker/gpu_worker.py); decoding reads weights and cache once for every token of all
running sequences ("Efficiently Scaling Transformer Inference", arXiv 2211.05102, section 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .device import GIB, Device
from .shape import Shape

#: Bytes of an engine beside weights and cache: activations of a step of 8,192 tokens and CUDA graphs. Our
#: allowance.
ENGINE = 3.0 * GIB
#: Bytes of vLLM's engine beside weights and cache on a CPU; calibrated with configs/cluster/cpu.yaml.
ENGINE_ON_CPU = 0.9 * GIB
#: Bytes that stay while an engine sleeps: its CUDA context and graphs. Our allowance.
ASLEEP = 1.5 * GIB


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of one step on one engine.

    Attributes:
        prompts: Different prompts.
        samples: Responses, of all prompts.
        prompt_tokens: Of a prompt on average.
        response_tokens: Of a response on average.
        longest: Tokens of the longest response.
        sequences: Most that are decoded together.
    """

    prompts: float
    samples: float
    prompt_tokens: float
    response_tokens: float
    longest: float
    sequences: int


def cache_bytes(shape: Shape, device: Device, share: float, tensor_parallel: int) -> float:
    """Bytes of KV cache of one GPU of an engine; negative if weights and engine do not fit the share."""
    return share * device.memory - 2 * shape.parameters / tensor_parallel - ENGINE


def seconds(shape: Shape, device: Device, work: Rollouts, cache: float, tensor_parallel: int) -> float:
    """Seconds until the last response of a step is there.

    Responses come in as many waves as cache and `sequences` allow, each prompt is read once for its group,
    and the longest response is waited for.

    Args:
        shape: The model.
        device: One GPU.
        work: What is sampled on one engine.
        cache: Bytes of KV cache a GPU.
        tensor_parallel: GPUs of the engine.
    """
    bandwidth = device.bandwidth * tensor_parallel
    context = work.prompt_tokens + work.response_tokens / 2
    fitting = cache * tensor_parallel / max(1.0, context * shape.kv_bytes)
    together = max(1.0, min(work.samples, work.sequences, fitting))
    steps = work.samples * work.response_tokens / together
    read = 2 * shape.parameters + together * context * shape.kv_bytes
    decoding = steps * (read / bandwidth + device.token_seconds)
    alone = (2 * shape.parameters + (work.prompt_tokens + work.longest / 2) * shape.kv_bytes) / bandwidth
    tail = work.longest * (alone + device.token_seconds)
    computed = work.prompts * work.prompt_tokens + work.samples * work.response_tokens
    compute = 2 * shape.layers * shape.active_layer * computed / (device.speed * tensor_parallel)
    return max(decoding + compute, tail)


def least_share(shape: Shape, device: Device, tokens: float, tensor_parallel: int) -> float:
    """The smallest share of the device, in hundredths, whose cache holds one sequence of so many tokens."""
    needed = 2 * shape.parameters / tensor_parallel + ENGINE + tokens * shape.kv_bytes / tensor_parallel
    return math.ceil(100 * needed / device.memory) / 100
