"""Both ends of verl's weight transfer to vLLM, on a socket of this run's own (`naming`)."""

from __future__ import annotations

import os
from typing import Any

import zmq
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension
from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter

from .naming import TIMEOUT, own


class Sender(ServerAdapter):
    """A training worker's end, which gives up when nobody takes the weights.

    verl's own sender waits for ever where the engine failed while it took them: the engine's error is
    answered to a future that is looked at afterwards.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.zmq_handle: str = own(self.zmq_handle)

    async def update_weights(self, *args: Any, **options: Any) -> None:
        """Sends the weights.

        Raises:
            RuntimeError: the engine did not take them in time; its own error stands before in the log.
        """
        seconds = int(os.environ.get(TIMEOUT) or 0)
        sockets: zmq.Context[Any] = zmq.Context.instance()
        limited = (zmq.SNDTIMEO, zmq.RCVTIMEO)
        try:
            for option in limited:
                sockets.setsockopt(option, seconds * 1000 or -1)
            await super().update_weights(*args, **options)
        except zmq.Again as error:
            raise RuntimeError(
                f"the rollout engine took no weights within {seconds} s (rl.collective_timeout); if it "
                "failed, its own error stands before this one"
            ) from error
        finally:
            for option in limited:
                sockets.setsockopt(option, -1)


class WorkerExtension(vLLMColocateWorkerExtension):
    """The engine's end, named by `rollout.engine_kwargs.vllm.worker_extension_cls`."""

    def _get_zmq_handle(self) -> str:
        return own(super()._get_zmq_handle())
