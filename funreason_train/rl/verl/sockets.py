"""Loaded by verl in every process of a run (`VERL_USE_EXTERNAL_MODULES`): a run's weights stay in that run.

A training worker hands its weights to vLLM through a socket in /tmp that verl names after Ray's job
(verl/workers/rollout/vllm_rollout/vllm_rollout.py, utils.py). Two runs on one machine, each with its own Ray
cluster, have the same job, and an engine takes the other run's weights: without a word where the models have
the same shapes. `weights` has both ends, on a socket of the run's own.
"""

from __future__ import annotations

from verl.workers.rollout.base import _ROLLOUT_REGISTRY

_ROLLOUT_REGISTRY["vllm", "async"] = f"{__package__}.weights.Sender"
