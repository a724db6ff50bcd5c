"""verl 0.9.1's agent workers, with less work around each sample.

For every sample verl has hydra build the agent loop anew (verl/experimental/agent_loop/agent_loop.py), asks a
process of its own for the least busy rollout server, and tells it when it is done (verl/workers/rollout/
llm_server.py). Where answers are short that costs as much as the engine does. Here a loop's class is looked
up once, and where there is one server, nobody is asked which.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import hydra
import ray
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap, _agent_loop_registry
from verl.trainer.ppo.v1 import AgentLoopManagerTQ
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ as _Remote
from verl.utils.rollout_trace import rollout_trace_attr
from verl.workers.rollout.llm_server import LLMServerClient

_Worker: Any = _Remote.__ray_metadata__.modified_class


class AgentLoopWorkerTQ(_Worker):  # type: ignore[misc]  # logs name a process by its class: verl's name stays
    """verl's worker, which makes the samples of its prompts."""

    async def _run_agent_loop(
        self,
        sampling_params: dict[str, Any],
        trajectory: dict[str, Any],
        *,
        agent_name: str,
        trace: bool,
        **row: Any,
    ) -> Any:
        with rollout_trace_attr(**trajectory, name="agent_loop", trace=trace):
            loop = self._loop(agent_name)
            output = await loop.run(sampling_params, **row)
            return await self._agent_loop_postprocess(output, trajectory["validate"], **row)

    def _loop(self, name: str) -> Any:
        return _class(name)(
            trainer_config=DictConfigWrap(config=self.config),
            server_manager=self.llm_client,
            tokenizer=self.tokenizer,
            processor=self.processor,
            hf_model_type=self.hf_model_type,
            dataset_cls=self.dataset_cls,
            data_config=DictConfigWrap(self.config.data),
            tools=ToolListWrap(self.tools),
        )


@cache
def _class(name: str) -> Any:
    """What makes a loop, with the settings from the run's file of agent loops."""
    return hydra.utils.instantiate(_agent_loop_registry[name], _partial_=True)


class AgentLoopManager(AgentLoopManagerTQ):  # type: ignore[misc]
    """verl's manager of the agent workers above."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.agent_loop_workers_class = ray.remote(AgentLoopWorkerTQ)


class _OneServer(LLMServerClient):  # type: ignore[misc]
    """A client of the only server."""

    def __init__(self, server: tuple[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.server = server

    async def _acquire_server(self, request_id: str, **extra: Any) -> tuple[str, Any]:
        return self.server

    def _release_server(self, server_id: str, request_id: str | None = None) -> None:
        """Nothing is counted."""


def client(servers: Any) -> Any:
    """What agent workers ask for completions.

    Args:
        servers: verl's `LLMServerManager`.
    """
    if len(servers.server_handles) != 1:
        return servers.get_client()
    (server,) = zip(servers.server_addresses, servers.server_handles, strict=True)
    return servers.get_client(_OneServer, server=server)
