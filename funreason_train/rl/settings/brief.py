"""An RL run in a dozen lines, for dry runs: what a step is, how it is shared out, how long it is (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...cluster import evidence
from ..verl.compose import attention_of, in_environments, longest_prompt, target_steps
from .prompts import Prompts

if TYPE_CHECKING:
    from omegaconf import DictConfig


def lines(config: DictConfig, train: Prompts, val: Prompts) -> list[str]:
    """`NAME: what it comes to`, one a line.

    Args:
        config: The project's configuration with `rl.model` filled in.
        train: The training prompts; without rows if the data stage has yet to make them.
        val: The validation prompts.
    """
    rl, cluster = config.rl, config.cluster
    per_node = rl.devices[cluster.device].workers_per_node
    workers = cluster.nodes * per_node
    what, sample = ("tasks", "episodes") if in_environments(config) else ("prompts", "samples")
    samples = rl.prompts_per_step * rl.samples_per_prompt
    updates = rl.prompts_per_step // (rl.prompts_per_update or rl.prompts_per_step)
    prompt = longest_prompt(config, train, val)
    engines = workers // rl.rollout.tensor_parallel
    return [
        f"start: {rl.model}",
        f"data: {f'{train.rows:,} {what}' if train.rows else 'not there yet'} ({train.file})",
        f"length: {_length(config, train)}",
        f"step: {rl.prompts_per_step:,} {what} x {rl.samples_per_prompt} {sample} = {samples:,}, "
        f"{samples / workers:,.4g} a worker, in {updates} optimiser update{'s' * (updates > 1)}",
        f"workers: {cluster.nodes} nodes x {per_node} = {workers}, with {engines} rollout engines of "
        f"{rl.rollout.tensor_parallel}, each taking {rl.rollout.memory:.0%} of its device's memory"
        if cluster.device != "cpu"
        else f"workers: {workers} on CPU, with a rollout engine each",
        f"tokens: prompt {_tokens(prompt)} + response {rl.max_response_tokens:,}; nothing is cut",
        f"passes: {_passes(config, prompt)}",
        f"algorithm: {_algorithm(config)}",
        f"reward: {rl.reward_function or rl.reward.variant}"
        + " (rl.reward.* does not count)" * bool(rl.reward_function),
        f"sampling: temperature {rl.temperature:g}, top-p {rl.top_p:g}",
        f"checkpoints: every {rl.save_every} steps, {rl.keep_checkpoints} kept{_validation(config)}",
        *(f"warning: {one}" for one in evidence.of_rl(str(rl.model), train.rows)),
        *(f"warning: {one}" for one in _short(int(rl.max_response_tokens), train.demonstrated)),
    ]


def _short(limit: int, demonstrated: Sequence[int]) -> list[str]:
    """What is demonstrated with more tokens than a response may have; the model may well need fewer."""
    longer = sum(tokens > limit for tokens in demonstrated)
    if not longer:
        return []
    return [
        f"{longer:,} of {len(demonstrated):,} rows demonstrate a response of more than "
        f"rl.max_response_tokens={limit} tokens (the longest has {max(demonstrated):,}); one that is cut off "
        "scores as unfinished"
    ]


def _validation(config: DictConfig) -> str:
    rl = config.rl
    if not rl.validate_every:
        return ""
    end = f"; {rl.stop_below_best} in a row below the best one end the run" * bool(rl.stop_below_best)
    return f" and the best one of those validated, every {rl.validate_every} steps{end}"


def _length(config: DictConfig, train: Prompts) -> str:
    rl = config.rl
    if rl.steps is None and not train.rows:
        return f"{rl.epochs} passes over the data"
    steps = target_steps(config, train)
    if rl.steps is not None:
        return f"{steps:,} steps"
    left = train.rows % rl.prompts_per_step  # verl takes whole batches of each shuffled pass
    without = f", each without the last {left:,}, which do not fill a step" if left else ""
    return f"{steps:,} steps, {rl.epochs} passes over the data{without}"


def _tokens(prompt: int) -> str:
    return f"{prompt:,}" if prompt else "(the longest of the data)"


def _passes(config: DictConfig, prompt: int) -> str:
    rl = config.rl
    how = f"attention {attention_of(config)[0]}" + (" here" * (rl.attention == "auto"))
    how += ", what samples have in common computed once" * rl.share_prompts
    if not rl.dynamic_batches:
        return f"{rl.samples_per_pass} samples each; {how}"
    least = prompt + rl.max_response_tokens
    most = [max(limit, least) for limit in (rl.tokens_per_pass, rl.tokens_per_log_prob_pass)]
    return f"up to {most[0]:,} tokens, without gradient {most[1]:,}; {how}"


def _algorithm(config: DictConfig) -> str:
    rl, algorithm = config.rl, config.rl.algorithm
    kl = f"KL loss {algorithm.kl_loss:g} ({algorithm.kl_loss_type})" if algorithm.kl_loss else "no KL loss"
    parts = [
        algorithm.name,
        f"clip {algorithm.clip_low:g}/{algorithm.clip_high:g}",
        kl,
        algorithm.loss_aggregation,
        f"entropy bonus {algorithm.entropy:g}" if algorithm.entropy else "no entropy bonus",
        "groups with identical rewards replaced" if algorithm.filter_groups else "all groups kept",
        f"learning rate {rl.learning_rate:g} ({rl.schedule})",
        "log-probabilities of the rollout engine trusted"
        if rl.trust_rollout_log_probs
        else "old log-probabilities computed anew",
    ]
    return ", ".join(parts)
