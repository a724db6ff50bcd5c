"""What RL comes to in memory, time and disk: its settings as `cluster.plan` takes them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ...cluster.plan import Device, StagePlan
from ...cluster.plan.inputs import refuse_above, shape_of, token_statistics
from ...cluster.plan.rl import RlJob
from ...cluster.plan.rl import plan as plan_of
from ..verl.compose import in_environments, longest_prompt, target_steps
from .prompts import Prompts
from .validate import batch_problems

if TYPE_CHECKING:
    from omegaconf import DictConfig

_UNKNOWN = 2048  # tokens of the longest prompt where neither data nor limit say it
_SHORTER = 8  # mean lengths are assumed to be so many times below the limits
_FUSED_TOKENS = 512  # of a chunk of verl's fused head (verl/utils/experimental/torch_functional.py)


def cost(config: DictConfig, train: Prompts, val: Prompts) -> StagePlan | str:
    """The plan; or why there is none: the model's sizes are not known.

    Args:
        config: The project's configuration with `rl.model` filled in.
        train: The training prompts.
        val: The validation prompts.
    """
    rl, told, cluster = config.rl, config.plan, config.cluster
    shape, about_model = shape_of(config, str(rl.model))
    notes = [*about_model]
    if shape is None:
        return notes[0]
    device = rl.devices[cluster.device]
    workers = int(cluster.nodes * device.workers_per_node)
    on_cpu = cluster.device == "cpu"
    refuse_above(told.prompt_tokens, "prompt_tokens", rl.max_prompt_tokens, "rl.max_prompt_tokens")
    if not in_environments(config):
        limit = rl.max_response_tokens
        refuse_above(told.response_tokens, "response_tokens", limit, "rl.max_response_tokens")
    longest = longest_prompt(config, train, val)
    least = math.ceil(told.prompt_tokens or 0)
    if not longest:
        longest = max(_UNKNOWN, least)
        notes.append(f"prompts of at most {longest:,} tokens (there are no data yet)")
    longest = max(longest, least)
    # The ledger of the data stage that wrote the prompts, which may be another run's.
    tokens = token_statistics(train.file.parent.parent / "ledger.json")
    prompt = told.prompt_tokens or (tokens.prompt if tokens else None)
    if prompt is None:
        prompt = longest / _SHORTER
        notes.append(
            f"{prompt:,.0f} tokens a prompt on average (an eighth of the limit; plan.prompt_tokens=)"
        )
    response = told.response_tokens or (min(tokens.target, rl.max_response_tokens) if tokens else None)
    if response is None:
        response = rl.max_response_tokens / _SHORTER
        way = "an eighth of the limit; plan.response_tokens="
        notes.append(f"{response:,.0f} tokens a response on average ({way})")
    if in_environments(config):
        again = "what is new in its prompt" if rl.share_prompts else "its prompt again"
        notes.append(f"an episode counts as one response; each further response of it adds {again}")
    prompts = told.prompts or train.rows
    steps = rl.steps
    if steps is None and prompts:
        steps = (
            target_steps(config, train) if not told.prompts else prompts // rl.prompts_per_step * rl.epochs
        )
    fused = bool((device.verl.get("actor_rollout_ref") or {}).get("model", {}).get("use_fused_kernels"))
    kv = None
    if on_cpu:
        engine = device.verl.actor_rollout_ref.rollout.engine_kwargs.vllm
        kv = float(engine.get("kv_cache_memory_bytes") or 0) if rl.rollout.engine == "vllm" else 0.0
    job = RlJob(
        shape=shape,
        device=Device.of(cluster),
        name="cpu" if on_cpu else str(cluster.name),
        devices=workers,
        shards=int(rl.fsdp_size or workers),
        half=not on_cpu,
        reference=rl.algorithm.kl_loss > 0,
        old_pass=not rl.trust_rollout_log_probs,
        recompute=bool(rl.gradient_checkpointing),
        chunk=_FUSED_TOKENS if fused else None,
        shared_prompts=bool(rl.share_prompts),
        pass_tokens=_pass(config, longest, rl.tokens_per_pass),
        frozen_tokens=_pass(config, longest, rl.tokens_per_log_prob_pass),
        offload_parameters=bool(rl.offload_parameters),
        offload_optimizer=bool(rl.offload_optimizer),
        prompts=int(rl.prompts_per_step),
        samples=int(rl.samples_per_prompt),
        prompt_tokens=float(prompt),
        response_tokens=float(response),
        longest_prompt=int(longest),
        longest_response=int(rl.max_response_tokens),
        share=float(rl.rollout.memory),
        tensor_parallel=int(rl.rollout.tensor_parallel),
        sequences=int(rl.rollout.sequences),
        cache=kv,
        steps=None if steps is None else int(steps),
        kept=int(rl.keep_checkpoints),
        headroom=float(told.headroom),
    )
    planned = plan_of(job, tuple(notes))
    # What cannot be divided has no figures, though the formulas give some.
    planned = replace(planned, problems=(*planned.problems, *batch_problems(config, train)))
    if rl.algorithm.filter_groups:
        each = f", {planned.seconds['rollouts']:,.1f} s each" if planned.seconds else ""
        note = (
            "every group has a signal; others are replaced by up to "
            f"{rl.algorithm.filter_batches} more batches of rollouts a step{each} "
            "(rl.algorithm.filter_batches)"
        )
        planned = replace(planned, notes=(*planned.notes, note))
    return planned


def _pass(config: DictConfig, longest: int, limit: int) -> int:
    """Most tokens of a pass: the limit, or the padded samples of one."""
    rl = config.rl
    sample = longest + int(rl.max_response_tokens)
    return max(int(limit), sample) if rl.dynamic_batches else sample * int(rl.samples_per_pass)
