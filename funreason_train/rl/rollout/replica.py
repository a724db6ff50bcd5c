"""Registers the rollout engine `transformers` with verl, in every process (`VERL_USE_EXTERNAL_MODULES`).

verl's registries of replicas (what the driver starts) and of rollouts (what a training worker calls to hand
weights over): verl/workers/rollout/replica.py and base.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from verl.plugin.platform import get_platform
from verl.utils.device import get_resource_name, is_support_ipc
from verl.workers.rollout.base import _ROLLOUT_REGISTRY, BaseRollout
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry

from ..verl.naming import own

#: As `rl.rollout.engine` and verl's `rollout.name` have it.
NAME = "transformers"


def _server(replica: int) -> str:
    return f"{NAME}_server_{replica}"


def _whereabouts(_worker: Any) -> tuple[str, str]:
    """The node of a training worker and its device there."""
    context = ray.get_runtime_context()
    return context.get_node_id(), context.get_accelerator_ids()[get_resource_name()][0]


class Replica(RolloutReplica):
    """One engine beside each training worker."""

    async def launch_servers(self) -> None:
        """Starts the engine on its worker's node and device."""
        from .engine import Engine

        assert self.world_size == 1, f"the rollout engine {NAME} takes one device"
        node, device = await self.workers[0].__ray_call__.remote(_whereabouts)
        on_cpu = get_platform().device_name == "cpu"
        server = (
            ray.remote(Engine)
            .options(
                name=_server(self.replica_rank),
                max_concurrency=self.max_concurrency,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False),
                # Ray would hide the device, which is the worker's.
                runtime_env={"env_vars": dict.fromkeys(get_platform().ray_noset_envvars(), "1")},
            )
            .remote(self.config, str(self.model_config["path"]), None if on_cpu else device)
        )
        await server.resume_generation.remote()
        self.servers = [server]
        self._server_handle = server
        self._server_address = _server(self.replica_rank)


class Sender(BaseRollout):
    """A training worker's side: tells its engine to sleep and to wake, and sends it the weights."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1) -> None:
        super().__init__(config, model_config, device_mesh)
        self.replica = int(os.environ["RANK"]) if replica_rank == -1 else replica_rank
        self._handle: Any = None

    @property
    def engine(self) -> Any:
        """The engine's actor, which is started after this worker."""
        self._handle = self._handle or ray.get_actor(_server(self.replica))
        return self._handle

    async def resume(self, tags: list[str]) -> None:
        """Wakes the engine."""
        if self.config.free_cache_engine:
            await self.engine.wake_up.remote(tags)

    async def release(self) -> None:
        """Has the engine give its memory back."""
        if self.config.free_cache_engine:
            await self.engine.sleep.remote()

    @torch.no_grad()
    async def update_weights(
        self,
        weights: Iterator[tuple[str, torch.Tensor]],
        global_steps: int | None = None,
        wire_format: str = "named_tensors",
        **_: Any,
    ) -> None:
        """Sends the weights with verl's own sender.

        Raises:
            ValueError: for a wire format other than whole tensors.
        """
        from .engine import weight_transfer

        if wire_format != "named_tensors":
            raise ValueError(f"the rollout engine {NAME} takes whole tensors, not {wire_format}")
        job = ray.get_runtime_context().get_job_id()
        handle = own(f"ipc:///tmp/funreason-weights-{job}-{self.replica}.sock")
        through_memory = not is_support_ipc()
        size = self.config.checkpoint_engine.update_weights_bucket_megabytes
        sender = weight_transfer().BucketedWeightSender(handle, size, through_memory)
        received = self.engine.receive.remote(handle, through_memory, global_steps)
        await sender.async_send_weights(weights)
        await received


_ROLLOUT_REGISTRY[NAME, "async"] = f"{__name__}.Sender"
RolloutReplicaRegistry.register(NAME, lambda: Replica)
