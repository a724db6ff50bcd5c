"""The plan of supervised fine-tuning: memory of a GPU, time of a step, disk."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from . import activations, flops, states, storage
from .device import Device
from .fitting import largest_fitting, settings_that_fit
from .result import StagePlan
from .shape import Shape


@dataclass(frozen=True)
class SftJob:
    """What is asked of SFT.

    Attributes:
        shape: The model.
        device: One GPU.
        name: What the devices are called.
        devices: Training processes.
        zero: DeepSpeed's stage; None without it.
        per_device: Sequences in one pass.
        accumulate: Passes of a step.
        longest: Tokens of the longest sequence.
        lengths: Of the sequences.
        sequences: Of one pass over the data; None if not known.
        epochs: Passes over the data.
        max_steps: Steps, if they are set.
        half: bf16 computation.
        recompute: Gradient checkpointing.
        chunked: A fused, chunked loss.
        learned: Share of the tokens whose logits are computed.
        lora_rank: None for full training.
        kept: Checkpoints that are kept; None without any.
        headroom: Share of a device's memory that is left free.
        limit: The setting that says how long the longest sequence may be.
    """

    shape: Shape
    device: Device
    name: str
    devices: int
    zero: int | None
    per_device: int
    accumulate: int
    longest: int
    lengths: flops.Lengths
    sequences: float | None
    epochs: float
    max_steps: int | None
    half: bool
    recompute: bool
    chunked: bool
    learned: float
    lora_rank: int | None
    kept: int | None
    headroom: float
    limit: str = "sft.cutoff_len"

    @property
    def number(self) -> int:
        """Bytes of a number in the passes."""
        return 2 if self.half else 4

    @property
    def autocast(self) -> bool:
        """Whether fp32 weights are computed with in 16 bits, as without DeepSpeed."""
        return self.half and self.zero is None and self.lora_rank is None


def memory(job: SftJob) -> dict[str, dict[str, float]]:
    """Moment of the longest pass -> part -> bytes on one GPU: the loss, and the way back."""
    tokens = job.per_device * job.longest
    if job.lora_rank is None:
        held = states.zero(job.shape, job.zero, job.devices, half=job.half)
    else:
        shards = job.devices if job.zero == 3 else 1
        held = states.lora(job.shape, job.lora_rank, shards, weight_bytes=job.number)
    learned = tokens * job.learned
    chunk = activations.liger_chunk(job.shape, tokens) if job.chunked else None
    parts = {
        "weights": held.weights,
        "gradients": held.gradients,
        "optimizer": held.optimizer,
        "activations": _kept(job, tokens),
    }
    if fixed := job.device.fixed_memory("sft"):
        parts["processes"] = fixed
    loss = activations.logits(job.shape, learned, chunk=chunk, half=job.half)
    back = activations.at_work(job.shape, tokens, job.number, recomputed=job.recompute)
    return {
        "loss": {**parts, "logits": loss},
        "backward": {
            **parts,
            "gradients": held.gradients + held.moving,
            "activations": parts["activations"] + back,
        },
    }


def _kept(job: SftJob, tokens: float) -> float:
    """Bytes of activations until the backward pass."""
    if job.recompute:
        return activations.checkpointed(job.shape, tokens, 4 if job.autocast else job.number)
    if job.autocast:
        return activations.autocast(job.shape, tokens)
    return activations.whole(job.shape, tokens, job.number)


def peak(job: SftJob) -> float:
    """Bytes of the fullest moment."""
    return max(sum(parts.values()) for parts in memory(job).values())


def seconds(job: SftJob) -> dict[str, float]:
    """Part of an optimizer step -> seconds; empty where the machines' speed is not known.

    Communication overlaps with the passes, and what takes longer counts.
    """
    if not job.device.timed:
        return {}
    tokens = job.per_device * job.accumulate * job.lengths.mean
    work = flops.training(
        job.shape,
        job.lengths.attended,
        recompute=float(job.recompute),
        frozen=job.lora_rank is not None,
        learned=job.learned,
    )
    passes = tokens * work / job.device.speed
    sending = network(job) / job.device.slowest_link(job.devices) if job.devices > 1 else 0.0
    return {
        "passes": passes,
        "waiting for the network": max(0.0, sending - passes),
        "other": job.device.fixed_seconds("sft"),
    }


def network(job: SftJob) -> float:
    """Bytes that a GPU sends in a step.

    ZeRO-2 sums fp32 gradients after every pass and gathers the weights once a step; ZeRO-3 gathers them for
    the forward, the recomputed and the backward pass as well (arXiv 1910.02054, section 7).
    """
    if job.devices == 1:
        return 0.0
    trained = job.shape.parameters if job.lora_rank is None else job.shape.lora_parameters(job.lora_rank)
    gradients = 4 * trained * (job.accumulate if (job.zero or 0) >= 2 else 2)
    gathers = (2 + job.recompute) * job.accumulate if job.zero == 3 else 1 if job.zero else 0
    share = (job.devices - 1) / job.devices
    return share * (gradients + gathers * job.number * job.shape.parameters)


def steps(job: SftJob) -> int | None:
    """Optimizer steps; None if the data are not known."""
    if job.max_steps is not None:
        return job.max_steps
    if job.sequences is None:
        return None
    return math.ceil(job.sequences / (job.per_device * job.accumulate * job.devices) * job.epochs)


def plan(job: SftJob, notes: tuple[str, ...] = ()) -> StagePlan:
    """The whole plan, with the largest pass that fits and what to change if it does not."""
    usable = job.device.memory * (1 - job.headroom)

    def fits(changed: SftJob) -> bool:
        return peak(changed) <= usable

    rows = largest_fitting(lambda count: fits(replace(job, per_device=count)))
    result = StagePlan(
        stage="sft",
        device=job.name,
        devices=job.devices,
        capacity=job.device.memory,
        usable=usable,
        memory=memory(job),
        seconds=seconds(job),
        tokens=job.per_device * job.accumulate * job.devices * job.lengths.mean,
        steps=steps(job),
        network=network(job),
        disk=storage.sft_disk(job.shape.parameters, job.kept if job.lora_rank is None else None),
        host=storage.loading(job.shape.parameters, min(job.devices, job.device.per_node)),
        largest=("sft.per_device_batch", rows) if rows else None,
        notes=notes,
    )
    if result.fits or not job.device.memory:
        return result
    return replace(
        result,
        advice=settings_that_fit(_changes(job, rows), peak, usable, result.peak),
    )


def _changes(job: SftJob, rows: int) -> list[tuple[str, SftJob]]:
    """Settings that save memory, the cheapest first."""
    found: list[tuple[str, SftJob]] = []
    if not job.chunked and job.half:
        found.append(("sft.liger=true", replace(job, chunked=True)))
    if not job.recompute:
        found.append(("sft.gradient_checkpointing=true", replace(job, recompute=True)))
    if 0 < rows < job.per_device:
        share = job.per_device * job.accumulate  # rows of a step that a process has: passes divide them
        size = max(count for count in range(1, rows + 1) if share % count == 0)
        changed = replace(job, per_device=size, accumulate=share // size)
        found.append((f"sft.per_device_batch={size}", changed))
    if job.lora_rank is None and job.devices > 1:
        for stage in (2, 3):
            if (job.zero or 0) < stage:
                found.append((f"sft.deepspeed=zero{stage}", replace(job, zero=stage)))
    if job.lora_rank is None:
        found.append(("sft.finetuning_type=lora", replace(job, lora_rank=32)))
    if job.lora_rank is None and job.zero:
        now = -(-job.devices // job.device.per_node)
        for nodes in (now << doubled for doubled in range(1, 5)):
            larger = replace(job, devices=nodes * job.device.per_node)
            if peak(larger) <= job.device.memory * (1 - job.headroom):
                found.append((f"cluster.nodes={nodes}", larger))
                break
    shorter = largest_fitting(
        lambda length: (
            peak(replace(job, per_device=1, longest=length)) <= job.device.memory * (1 - job.headroom)
        ),
        most=job.longest,
    )
    if 0 < shorter < job.longest:
        size = shorter // 64 * 64 or shorter
        rest = " sft.per_device_batch=1" if job.per_device > 1 else ""
        found.append((f"{job.limit}={size}{rest}", replace(job, per_device=1, longest=size)))
    return found
