"""The environment of an RL run's processes, and verl's own checks of its configuration."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...cluster import Profile
from ...cluster.environment import thread_variables
from ...models.hub import offline
from ...run import beat
from ...run.paths import RunDir
from .naming import TIMEOUT, TOKEN

if TYPE_CHECKING:
    from omegaconf import DictConfig


#: What verl's and vLLM's processes import most of their start-up time, without Ray (see cpu/warm.py).
_IMPORTS = (
    "torch",
    "torch._dynamo",
    "torch.distributed.tensor",
    "tensordict",
    "datasets",
    "transformers.models.qwen3.modeling_qwen3",
    "accelerate",
    "peft",
    "torchdata.stateful_dataloader",
    "vllm.config",
)


def environment(config: DictConfig, run: RunDir) -> dict[str, str]:
    """What is set in the driver and in every Ray worker before any of them imports a framework."""
    variables = {
        # As verl's own `main` hands them to Ray (verl/trainer/constants_ppo.py).
        "TOKENIZERS_PARALLELISM": "false",
        "NCCL_DEBUG": "WARN",
        "VLLM_LOGGING_LEVEL": "WARN",
        "VLLM_DISABLE_COMPILE_CACHE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "TENSORBOARD_DIR": str(run.rl / "tensorboard"),
        TIMEOUT: str(int(config.rl.collective_timeout)),
        TOKEN: secrets.token_hex(6),
        **offline(config.cluster.env),
        **beat.inherited(),
    }
    if config.cluster.device == "cpu":
        variables |= _cpu(config, run)
    settings = config.rl.devices[config.cluster.device].env
    variables |= {name: str(value) for name, value in settings.items() if value is not None}
    loaded = [
        variables.get(_MODULES),
        None if _without_vllm(config) else _SOCKETS,
        _REPLICA if _without_vllm(config) else None,
        _COPIES if config.rl.fsdp_size else None,
    ]
    return variables | {_MODULES: ",".join(name for name in loaded if name)}


#: What verl imports in every process.
_MODULES = "VERL_USE_EXTERNAL_MODULES"
_REPLICA = "funreason_train.rl.rollout.replica"
_SOCKETS = "funreason_train.rl.verl.sockets"
_COPIES = "funreason_train.rl.verl.copies"


def _without_vllm(config: DictConfig) -> bool:
    return bool(config.rl.rollout.engine != "vllm")


def _cpu(config: DictConfig, run: RunDir) -> dict[str, str]:
    """Rollout and training take turns, so each may use all cores; verl finds a distribution `vllm`."""
    from ...models.frameworks.distribution import shim

    variables = thread_variables(Profile.of(config.cluster).threads(1))
    # No thread pool at import: `warm.py` forks, and torch does the arithmetic.
    variables["OPENBLAS_NUM_THREADS"] = "1"
    if _without_vllm(config):
        return variables
    if folder := shim(run.rl / "distributions"):
        before = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        variables["PYTHONPATH"] = os.pathsep.join([*before, str(folder)])
    return variables


@contextmanager
def prepared(config: DictConfig) -> Iterator[None]:
    """What a machine without GPUs does before Ray starts: it imports once what all workers need."""
    if config.cluster.device != "cpu" or Profile.of(config.cluster).joins():
        yield
        return
    from ..cpu.warm import warm_workers

    imports = [name for name in _IMPORTS if not (_without_vllm(config) and name.startswith("vllm"))]
    with warm_workers(imports):
        yield


def validated(verl: DictConfig) -> Any:
    """The configuration after verl's own checks, as its `main` makes them (verl/trainer/main_ppo.py)."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config
    from verl.utils.device import auto_set_device

    auto_set_device(verl)
    validate_config(verl, use_reference_policy=need_reference_policy(verl), use_critic=need_critic(verl))
    return verl
