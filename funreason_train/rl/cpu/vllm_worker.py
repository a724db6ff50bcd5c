"""vLLM's worker on CPU, named by `rollout.engine_kwargs.vllm.worker_extension_cls`."""

from __future__ import annotations

from typing import Any

from ..verl.weights import WorkerExtension


class CpuWorkerExtension(WorkerExtension):
    """verl's worker extension with weights that stay loadable.

    vLLM's CPU linear layers pack their weight into a oneDNN handle and drop the tensor, so that the next
    weight update would find nothing to write to. Without oneDNN they keep it and call `F.linear`.
    """

    def __new__(cls, **kwargs: Any) -> CpuWorkerExtension:
        import vllm._custom_ops as ops

        ops._supports_onednn = False
        return super().__new__(cls, **kwargs)
