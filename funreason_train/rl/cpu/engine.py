"""verl's FSDP2 engine on CPU tensors, named by `actor_rollout_ref.model.external_lib`."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp import transformer_impl

from ..shared.engine import SharingEngine


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuEngine(SharingEngine):
    """Registers the engine for device `cpu`; loss, optimiser, sharding and checkpoints are verl's own."""

    def _build_fsdp_module(self, module: Any) -> Any:
        # A reference model asks for CPUOffloadPolicy(pin_memory=True): pinning needs CUDA, and it is on CPU
        # already.
        with patch.object(transformer_impl, "CPUOffloadPolicy", lambda **_: None):
            return super()._build_fsdp_module(module)
