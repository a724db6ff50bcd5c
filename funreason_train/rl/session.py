"""The processes of an RL run: their environment and the Ray session around them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..run.paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig


def environment(config: DictConfig, run: RunDir) -> dict[str, str]:
    """What is set in the driver and in every Ray worker before any of them imports a framework."""
    variables = {
        # verl's own defaults (verl/trainer/constants_ppo.py), which its run_ppo would hand to Ray.
        "TOKENIZERS_PARALLELISM": "false",
        "NCCL_DEBUG": "WARN",
        "VLLM_LOGGING_LEVEL": "WARN",
        "VLLM_DISABLE_COMPILE_CACHE": "1",
        "TENSORBOARD_DIR": str(run.rl / "tensorboard"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "VLLM_NO_USAGE_STATS": "1",
        **{name: str(value) for name, value in config.rl.devices[config.cluster.device].env.items()},
        **{name: str(value) for name, value in config.cluster.env.items()},
    }
    if config.cluster.device == "cpu":
        from .cpu.distribution import shim

        folder = shim(run.rl / "distributions")
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        variables["PYTHONPATH"] = os.pathsep.join([*paths, *([str(folder)] if folder else [])])
    return variables


@contextmanager
def ray_session(config: DictConfig, run: RunDir, variables: dict[str, str]) -> Iterator[None]:
    """A Ray session of this run's own, ended when the block ends."""
    import ray

    ray.init(
        num_cpus=64,
        num_gpus=config.cluster.gpus_per_node,
        include_dashboard=False,
        object_store_memory=int(config.cluster.object_store_bytes),
        runtime_env={"env_vars": variables, "working_dir": None},
        log_to_driver=True,
    )
    try:
        yield
    finally:
        ray.shutdown()


def validated(verl: DictConfig) -> Any:
    """verl's own checks, as its `main` makes them."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config
    from verl.utils.device import auto_set_device

    auto_set_device(verl)
    validate_config(verl, use_reference_policy=need_reference_policy(verl), use_critic=need_critic(verl))
    return verl
