"""From the settings to how models are served: sampling, vLLM's options, and the processes side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...cluster.profile import available_cores, visible_gpus
from ...errors import UserError
from .engine import EngineOptions, environment
from .generate import Sampling
from .replicas import devices

if TYPE_CHECKING:
    from omegaconf import DictConfig


def sampling_of(config: DictConfig) -> Sampling:
    """How completions are drawn; the context is at most this, the seed is that of a first attempt."""
    settings = config.eval
    return Sampling(
        temperature=float(settings.temperature),
        top_p=float(settings.top_p),
        max_tokens=int(settings.max_tokens),
        max_model_tokens=int(settings.max_model_tokens),
        seed=int(settings.seed),
    )


_PORTS, _PORTS_EACH = range(20_000, 32_000), 50


def engine_options(config: DictConfig) -> EngineOptions:
    """How vLLM is set up; see configs/eval.yaml for each setting."""
    settings, device = config.eval, str(config.cluster.device)
    on_cpu = device == "cpu"
    gib = settings.kv_cache_gib or (1 if on_cpu else None)
    return EngineOptions(
        device=device,
        dtype=settings.dtype or ("float32" if on_cpu else "auto"),
        tensor_parallel=int(settings.tensor_parallel),
        sequences=int(settings.concurrency),
        batched_tokens=int(settings.batched_tokens),
        block_size=settings.block_size or (32 if on_cpu else None),
        kv_cache_bytes=int(gib * 2**30) if gib else None,
        gpu_memory=float(settings.gpu_memory),
        eager=on_cpu if settings.eager is None else bool(settings.eager),
        max_model_tokens=int(settings.max_model_tokens),
        seed=int(settings.seed),
        whole_prompts=on_cpu and settings.temperature > 0,
    )


def replica_environments(
    config: DictConfig, engine: EngineOptions, replicas: int | None, most: int
) -> list[Mapping[str, str]]:
    """The variables of each process that plays a share of the tasks.

    Args:
        config: The configuration.
        engine: How vLLM is set up.
        replicas: How many; None: as configured, or as many as fit.
        most: At most so many, as there are tasks.

    Raises:
        UserError: this machine has too few GPUs.
    """
    cluster, on_cpu = config.cluster, engine.device == "cpu"
    # A profile tells what its machines should have; the engines run on what this one has.
    gpus = 0 if on_cpu else visible_gpus() or int(cluster.gpus_per_node)
    if replicas is None:
        fitting = available_cores() if on_cpu else gpus // engine.tensor_parallel
        replicas = min(config.eval.replicas or max(1, fitting), most)
    if not on_cpu and not config.eval.endpoint and replicas * engine.tensor_parallel > gpus:
        raise UserError(
            f"{replicas} engines of {engine.tensor_parallel} GPUs each are more than this machine's {gpus}",
            where="eval.replicas, eval.tensor_parallel",
            fix="Lower one of them, or leave eval.replicas=null, which takes as many as fit",
        )
    shared = environment(engine, max(1, available_cores() // replicas))
    shared |= {key: str(value) for key, value in cluster.env.items()}
    named: list[dict[str, str]] = [{} for _ in range(replicas)]
    if not on_cpu and not config.eval.endpoint:
        visible = devices(os.environ, gpus, replicas, engine.tensor_parallel)
        named = [{"CUDA_VISIBLE_DEVICES": name} for name in visible]
    ports = _first_ports(replicas)
    return [{"VLLM_PORT": port, **shared, **own} for port, own in zip(ports, named, strict=True)]


def _first_ports(replicas: int) -> list[str]:
    """The port from which on each engine looks for a free one.

    Asked without a number, the system names the same port to two engines that start at the same moment, or
    gives it to a client before it is used; so these lie apart, and below the ports that it hands out.
    """
    room = max(1, len(_PORTS) - replicas * _PORTS_EACH)
    first = _PORTS.start + os.getpid() * _PORTS_EACH % room
    return [str(first + number * _PORTS_EACH) for number in range(replicas)]
