"""The plan of reinforcement learning where training and rollouts share the GPUs (verl's hybrid engine)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from . import activations, decode, flops, states, storage
from .device import Device
from .fitting import largest_fitting, settings_that_fit
from .result import StagePlan
from .shape import Shape


@dataclass(frozen=True)
class RlJob:
    """What is asked of RL.

    Attributes:
        shape: The model.
        device: One GPU.
        name: What the devices are called.
        devices: Training workers.
        shards: Over how many of them weights and optimizer are shared out.
        half: bf16 computation.
        reference: A reference model is held, for a KL term.
        old_pass: Old log-probabilities are computed anew.
        recompute: Gradient checkpointing.
        chunk: Tokens whose logits exist at once; None: all.
        shared_prompts: A prompt is computed once for its group.
        pass_tokens: Most tokens of a pass with gradients.
        frozen_tokens: Most tokens of a pass without.
        offload_parameters: Weights wait in host memory during rollouts.
        offload_optimizer: The optimizer does.
        prompts: Of a step.
        samples: Of each prompt.
        prompt_tokens: Of a prompt on average.
        response_tokens: Of a response on average.
        longest_prompt: In tokens.
        longest_response: In tokens.
        share: Of a device's memory, for the rollout engine.
        tensor_parallel: GPUs of an engine.
        sequences: Most that an engine decodes together.
        cache: Bytes of the cache where it is set outright (CPU); 0 for the engine transformers.
        steps: Of the run; None if not known.
        kept: Checkpoints.
        headroom: Share of a device's memory that is left free.
    """

    shape: Shape
    device: Device
    name: str
    devices: int
    shards: int
    half: bool
    reference: bool
    old_pass: bool
    recompute: bool
    chunk: int | None
    shared_prompts: bool
    pass_tokens: int
    frozen_tokens: int
    offload_parameters: bool
    offload_optimizer: bool
    prompts: int
    samples: int
    prompt_tokens: float
    response_tokens: float
    longest_prompt: int
    longest_response: int
    share: float
    tensor_parallel: int
    sequences: int
    cache: float | None
    steps: int | None
    kept: int
    headroom: float

    @property
    def number(self) -> int:
        """Bytes of a number in the passes."""
        return 2 if self.half else 4

    @property
    def engines(self) -> float:
        """Rollout engines."""
        return self.devices / self.tensor_parallel

    @property
    def trained_tokens(self) -> float:
        """Tokens of a step in the training passes, of all workers."""
        responses = self.prompts * self.samples * self.response_tokens
        copies = 1 if self.shared_prompts else self.samples
        return self.prompts * copies * self.prompt_tokens + responses

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return self.longest_prompt + self.longest_response

    @property
    def kv_cache(self) -> float:
        """Bytes of an engine's cache on one GPU."""
        if self.cache is not None:
            return self.cache
        return decode.cache_bytes(self.shape, self.device, self.share, self.tensor_parallel)


def training_memory(job: RlJob) -> dict[str, dict[str, float]]:
    """Moment of an update's largest pass -> part -> bytes on one GPU; the rollout engine sleeps."""
    held = states.fsdp(job.shape, job.shards, half=job.half)
    tokens = max(job.pass_tokens, job.longest)
    kept = activations.checkpointed if job.recompute else activations.whole
    parts = {
        "weights": held.weights + (4 * job.shape.parameters / job.shards if job.reference else 0.0),
        "gradients": held.gradients,
        "optimizer": held.optimizer,
        "activations": kept(job.shape, tokens, job.number),
        "prompt and response buffers": float(storage.TOKEN * tokens),
    }
    if job.cache is None:
        parts["rollout engine, asleep"] = decode.ASLEEP
    else:  # on a CPU nothing sleeps
        parts |= {"KV cache": job.cache, "rollout weights": float(job.number * job.shape.parameters)}
        parts["rollout engine"] = decode.ENGINE_ON_CPU if job.cache else 0.0
    parts |= _processes(job)
    loss = activations.logits(job.shape, tokens, chunk=job.chunk, half=job.half)
    back = activations.at_work(job.shape, tokens, job.number, recomputed=job.recompute)
    return {
        "loss": {**parts, "logits": loss},
        "backward": {
            **parts,
            "gradients": held.gradients + held.moving,
            "activations": parts["activations"] + back,
        },
    }


def rollout_memory(job: RlJob) -> dict[str, float]:
    """Part -> bytes on one GPU while responses are sampled; gradients are freed, activations gone."""
    shared = 4 * job.shape.parameters / job.shards
    parts = {
        "weights": 0.0 if job.offload_parameters else shared * (2 if job.reference else 1),
        "optimizer": 0.0 if job.offload_optimizer else 2 * shared,
        "rollout weights": job.number * job.shape.parameters / job.tensor_parallel,
        "KV cache": max(0.0, job.kv_cache),
    }
    if job.cache is None:
        parts["rollout engine"] = decode.ENGINE
    elif job.cache:
        parts["rollout engine"] = decode.ENGINE_ON_CPU
    return parts | _processes(job)


def _processes(job: RlJob) -> dict[str, float]:
    fixed = job.device.fixed_memory("rl")
    return {"processes": fixed} if fixed else {}


def seconds(job: RlJob) -> dict[str, float]:
    """Part of a step -> seconds; empty where the machines' speed is not known."""
    if not job.device.timed:
        return {}
    tokens = job.trained_tokens / job.devices
    length = flops.Lengths(job.prompt_tokens + job.response_tokens).attended
    frozen = tokens * flops.forward(job.shape, length) / job.device.speed
    update = flops.training(job.shape, length, recompute=float(job.recompute))
    work = decode.Rollouts(
        prompts=job.prompts / job.engines,
        samples=job.prompts * job.samples / job.engines,
        prompt_tokens=job.prompt_tokens,
        response_tokens=job.response_tokens,
        longest=job.longest_response,
        sequences=job.sequences,
    )
    cache = max(job.kv_cache, job.longest * job.shape.kv_bytes / job.tensor_parallel)
    passes = frozen * (job.old_pass + job.reference) + tokens * update / job.device.speed
    sending = gathered(job) / job.device.slowest_link(job.shards) if job.shards > 1 else 0.0
    return {
        "rollouts": decode.seconds(job.shape, job.device, work, cache, job.tensor_parallel),
        "old log-probabilities": frozen if job.old_pass else 0.0,
        "reference": frozen if job.reference else 0.0,
        "update": tokens * update / job.device.speed,
        "waiting for the network": max(0.0, sending - passes),
        "weights to the engines": 4 * job.shape.parameters / job.device.link,
        "other": job.device.fixed_seconds("rl"),
    }


def gathered(job: RlJob) -> float:
    """Bytes of weights that a GPU is sent in a step: FSDP gathers every layer anew in every pass."""
    own = job.trained_tokens / job.devices
    trained = math.ceil(own / max(job.pass_tokens, 1)) * (2 + job.recompute)
    frozen = math.ceil(own / max(job.frozen_tokens, 1)) * (job.old_pass + job.reference)
    return job.number * job.shape.parameters * (trained + frozen) * (job.shards - 1) / job.shards


def network(job: RlJob) -> float:
    """Bytes that a GPU sends in a step: layers gathered, fp32 gradients summed, weights handed over."""
    if job.devices == 1:
        return 0.0
    size = job.shape.parameters
    return gathered(job) + 2 * 4 * size * (job.devices - 1) / job.devices + job.number * size


def problems(job: RlJob) -> list[str]:
    """Why the rollout engine cannot work, whatever the training takes."""
    if job.cache is not None or not job.device.memory:
        return []
    least = decode.least_share(job.shape, job.device, job.longest, job.tensor_parallel)
    if job.kv_cache >= job.longest * job.shape.kv_bytes / job.tensor_parallel:
        return []
    way = f"rl.rollout.memory={least:g}" if least <= 0.95 else "rl.rollout.tensor_parallel"
    return [
        f"the rollout engine's {job.share:.0%} of a GPU hold no sequence of {job.longest:,} tokens; "
        + (f"it needs {way} or more" if least <= 0.95 else f"share it over more GPUs with {way}")
    ]


def plan(job: RlJob, notes: tuple[str, ...] = ()) -> StagePlan:
    """The whole plan, with the largest pass that fits and what to change if it does not."""
    usable = job.device.memory * (1 - job.headroom)
    tokens = largest_fitting(lambda count: _training_peak(replace(job, pass_tokens=count)) <= usable)
    result = StagePlan(
        stage="rl",
        device=job.name,
        devices=job.devices,
        capacity=job.device.memory,
        usable=usable,
        memory={**training_memory(job), "rollouts": rollout_memory(job)},
        seconds=seconds(job),
        tokens=job.prompts * job.samples * (job.prompt_tokens + job.response_tokens),
        steps=job.steps,
        network=network(job),
        disk=storage.rl_disk(job.shape.parameters, job.kept),
        host=storage.loading(job.shape.parameters, min(job.devices, job.device.per_node))
        + job.prompts * job.samples * job.longest * storage.TOKEN,
        largest=("rl.tokens_per_pass", tokens) if tokens >= job.longest else None,
        problems=problems(job),
        notes=notes,
    )
    if result.fits or not job.device.memory:
        return result
    return replace(result, advice=settings_that_fit(_changes(job), _peak, usable, result.peak))


def _peak(job: RlJob) -> float:
    return max(_training_peak(job), sum(rollout_memory(job).values()))


def _training_peak(job: RlJob) -> float:
    return max(sum(parts.values()) for parts in training_memory(job).values())


def _changes(job: RlJob) -> list[tuple[str, RlJob]]:
    """Settings that save memory, the cheapest first."""
    found: list[tuple[str, RlJob]] = []
    usable = job.device.memory * (1 - job.headroom)
    place = "cpu" if job.name == "cpu" else "cuda"
    if not job.recompute:
        found.append(
            (f"rl.devices.{place}.gradient_checkpointing=true", replace(job, recompute=True)),
        )
    if job.pass_tokens > job.longest:
        found.append((f"rl.tokens_per_pass={job.longest}", replace(job, pass_tokens=job.longest)))
    for shards in sorted({min(job.device.per_node, job.devices), job.devices}):
        if job.shards < shards:
            found.append((f"rl.fsdp_size={shards}", replace(job, shards=shards)))
    if job.cache is None:
        least = decode.least_share(job.shape, job.device, job.longest, job.tensor_parallel)
        share = (
            largest_fitting(
                lambda hundredths: (
                    sum(rollout_memory(replace(job, share=hundredths / 100)).values()) <= usable
                ),
                most=95,
            )
            / 100
        )
        if least <= share < job.share:
            found.append((f"rl.rollout.memory={share:g}", replace(job, share=share)))
        if least > job.share and least <= 0.95:
            found.append((f"rl.rollout.memory={least:g}", replace(job, share=least)))
    if not (job.offload_optimizer and job.offload_parameters):
        offloaded = replace(job, offload_optimizer=True, offload_parameters=True)
        found.append(("rl.offload_optimizer=true rl.offload_parameters=true", offloaded))
    return found
