"""verl's FSDP2 engine on CPU tensors, named by `actor_rollout_ref.model.external_lib`.

With `use_remove_padding` the samples of a prompt share one row (`shared_prompt`), for the prompts are most of
the work. verl 0.9.1 takes `actor.use_prefix_grouper` for the same and ignores it: its trainer never calls
verl/trainer/ppo/prefix_grouper_utils.py (verl#7202), and what is there needs flash-attn.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils import torch_functional
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp import transformer_impl

from . import shared_prompt


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuEngine(transformer_impl.FSDPEngineWithLMHead):
    """Registers the engine for device `cpu`; loss, optimiser, sharding and checkpoints are verl's own."""

    def _build_fsdp_module(self, module: Any) -> Any:
        # A reference model asks for CPUOffloadPolicy(pin_memory=True): pinning needs CUDA, and it is on CPU
        # already.
        with patch.object(transformer_impl, "CPUOffloadPolicy", lambda **_: None):
            return super()._build_fsdp_module(module)

    def forward_backward_batch(self, data: TensorDict, loss_function: Any, forward_only: bool = False) -> Any:
        with patch.object(transformer_impl, "prepare_micro_batches", self._micro_batches):
            return super().forward_backward_batch(data, loss_function, forward_only)

    def _micro_batches(self, data: TensorDict, **options: Any) -> Any:
        """Micro-batches that keep the samples of a prompt together; verl's own where that does not apply."""
        if not (_shares(data) and _dynamic(data)) or self.get_data_parallel_size() > 1:
            return _PREPARE(data, **options)
        lengths = data["responses"].offsets().diff().tolist()
        indices = shared_prompt.packs(_rows(data["prompts"]), lengths, int(data["max_token_len_per_gpu"]))
        return [tu.index_select_tensor_dict(data, row) for row in indices], indices

    def prepare_model_inputs(self, micro_batch: TensorDict) -> Any:
        if not _shares(micro_batch):
            return super().prepare_model_inputs(micro_batch)
        lay = shared_prompt.layout(_rows(micro_batch["prompts"]), _rows(micro_batch["responses"]))
        inputs = {
            "input_ids": lay.ids,
            "attention_mask": lay.mask,
            "position_ids": lay.positions,
            "logits_to_keep": lay.kept,
        }
        return inputs, {"layout": lay}

    def prepare_model_outputs(
        self, output: Any, output_args: dict[str, Any], micro_batch: TensorDict, logits_processor_func: Any
    ) -> Any:
        if "layout" not in output_args:
            return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        lay: shared_prompt.Layout = output_args["layout"]
        logits = output.logits[0] / max(float(micro_batch["temperature"]), 1e-8)
        log_probs = torch.log_softmax(logits, dim=-1)[lay.rows, lay.labels]
        found = {"log_probs": _spread(log_probs, lay, micro_batch)}
        if tu.get_non_tensor_data(data=micro_batch, key="calculate_entropy", default=False):
            entropy = torch_functional.entropy_from_logits(logits)[lay.rows]
            found["entropy"] = _spread(entropy, lay, micro_batch)
        return found


_PREPARE = transformer_impl.prepare_micro_batches


def _shares(data: TensorDict) -> bool:
    """Whether rows are packed and nothing is asked that only verl's own path gives."""
    asked = (
        tu.get_non_tensor_data(data=data, key=key, default=False)
        for key in ("use_fused_kernels", "distillation_use_topk", "calculate_sum_pi_squared")
    )
    packed = tu.get_non_tensor_data(data=data, key="use_remove_padding", default=False)
    return bool(packed and "prompts" in data and "responses" in data and not any(asked))


def _dynamic(data: TensorDict) -> bool:
    """Whether passes are cut by tokens; those of a fixed count take samples as they lie, prompt by prompt."""
    return bool(tu.get_non_tensor_data(data=data, key="use_dynamic_bsz", default=True))


def _rows(nested: torch.Tensor) -> list[list[int]]:
    return [row.tolist() for row in nested.unbind()]


def _spread(values: torch.Tensor, lay: shared_prompt.Layout, data: TensorDict) -> torch.Tensor:
    """The answer tokens' values at their place in the samples, zero on the prompts, as a nested tensor."""
    ids = data["input_ids"]
    flat = values.new_zeros(ids.values().shape[0]).index_put((lay.targets,), values)
    return torch.nested.nested_tensor_from_jagged(flat, ids.offsets())
