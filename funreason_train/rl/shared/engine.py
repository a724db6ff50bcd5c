"""verl's FSDP engine on lines in which no token stands twice (`actor_rollout_ref.model.external_lib`).

Only what goes into the model and comes out of it differs from verl's own. The decoder's output is narrowed to
the places that predict an answer's token, once for each answer where several share a place, so the head, the
fused one as well (`model.use_fused_kernels`), and all that verl computes from it see answers alone.

Loaded by verl in its workers (imports torch and verl). The device decides the attention: `models.attention`.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_name
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp import transformer_impl

from ...models.attention import tree_attention
from ...models.attention.maskable import unmaskable
from ...models.attention.tree import TreeRow
from . import layout

_PREPARE = transformer_impl.prepare_micro_batches
#: What a line's length is padded to a multiple of: a block of FlexAttention, so that lengths are few.
_MULTIPLE = {tree_attention.TREE: 1, tree_attention.TREE_BLOCKS: 128}

tree_attention.register()


class SharingEngine(transformer_impl.FSDPEngineWithLMHead):
    """Shares what samples have in common if the model's attention is one for trees; else it is verl's own."""

    _places: torch.Tensor | None = None  # of the pass that is being made
    _computed = 1.0  # its tokens as a share of its samples'

    @property
    def _shares(self) -> bool:
        return getattr(self.model_config.hf_config, "_attn_implementation", None) in _MULTIPLE

    def _build_module(self) -> Any:
        module = super()._build_module()
        if self._shares:
            if why := unmaskable(module.config.to_dict()):
                raise ValueError(f"rl.share_prompts: the model {why}. Set rl.share_prompts=false")
            module.get_decoder().register_forward_hook(self._narrow)
        return module

    def _narrow(self, decoder: Any, given: Any, output: Any) -> Any:
        if self._places is not None:
            output.last_hidden_state = output.last_hidden_state.index_select(1, self._places)
        return output

    def forward_backward_batch(self, data: TensorDict, loss_function: Any, forward_only: bool = False) -> Any:
        if not self._shares:
            return super().forward_backward_batch(data, loss_function, forward_only)
        with patch.object(transformer_impl, "prepare_micro_batches", _micro_batches):
            return super().forward_backward_batch(data, loss_function, forward_only)

    def forward_step(self, micro_batch: TensorDict, loss_function: Any, forward_only: bool) -> Any:
        loss, output = super().forward_step(micro_batch, loss_function, forward_only)
        if self._shares and loss_function is not None:
            output["metrics"]["computed_share"] = self._computed
        return loss, output

    def prepare_model_inputs(self, micro_batch: TensorDict) -> Any:
        if not self._shares:
            return super().prepare_model_inputs(micro_batch)
        lay = layout.layout(_samples(micro_batch))
        line, device = lay.line, micro_batch["input_ids"].device
        self._computed = len(line.ids) / line.split

        def put(values: Any) -> torch.Tensor:
            return torch.as_tensor(values, dtype=torch.long).to(device)

        left = -len(line.ids) % _MULTIPLE[self.model_config.hf_config._attn_implementation]
        whole = len(line.ids) + left
        targets, temperature = put(line.targets), float(micro_batch["temperature"])
        self._places = put(line.places)
        inputs = {
            "input_ids": put([*line.ids.tolist(), *[0] * left])[None],
            "position_ids": put([*line.positions.tolist(), *range(left)])[None],
            "attention_mask": put([*line.ends.tolist(), *[whole] * left]).view(1, 1, 1, -1),
        }
        if tu.get_non_tensor_data(data=micro_batch, key="use_fused_kernels", default=False):
            inputs |= {"temperature": temperature, "return_dict": True, "shift_labels": targets[None]}
        return inputs, {
            "layout": lay,
            "pad_size": 0,
            "input_ids_rmpad_rolled": targets,
            "temperature_rmpad": torch.full(targets.shape, temperature, device=device),
            "temperature_is_one": temperature == 1.0,
        }

    def prepare_model_outputs(
        self, output: Any, output_args: dict[str, Any], micro_batch: TensorDict, logits_processor_func: Any
    ) -> Any:
        if "layout" not in output_args:
            return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        self._places = None
        lay: layout.Layout = output_args["layout"]
        ids = micro_batch["input_ids"]
        lengths = micro_batch["responses"].offsets().diff()[torch.tensor(lay.order, device=ids.device)]
        # To verl the answers are all the samples have: a line without padding, one answer after the other.
        answers = micro_batch.copy()
        answers["input_ids"] = torch.nested.nested_tensor_from_jagged(
            output_args["input_ids_rmpad_rolled"], torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        )
        found = super().prepare_model_outputs(output, output_args, answers, logits_processor_func)
        spots = torch.from_numpy(lay.spots).to(ids.device)
        return {name: _spread(values.values(), spots, ids) for name, values in found.items()}


# To verl's registry an engine for a vendor goes before its own, which is for any.
EngineRegistry.register(
    model_type="language_model", backend=["fsdp", "fsdp2"], device="cuda", vendor="nvidia"
)(SharingEngine)


def _micro_batches(data: TensorDict, dp_group: Any = None, **options: Any) -> Any:
    """Passes that keep the samples of a prompt together, equally many for each worker of the group.

    Those of a fixed count take samples as they lie, prompt by prompt: verl's own.
    """
    if not tu.get_non_tensor_data(data=data, key="use_dynamic_bsz", default=True):
        return _PREPARE(data, dp_group=dp_group, **options)
    samples = _samples(data)
    found = layout.packs(samples, int(data["max_token_len_per_gpu"]))
    found = layout.spread(found, samples, _most(len(found), dp_group))
    return [tu.index_select_tensor_dict(data, numbers) for numbers in found], found


def _most(count: int, group: Any) -> int:
    """The largest `count` of the group's workers."""
    if group is None or dist.get_world_size(group) == 1:
        return count
    held = torch.tensor([count], device=get_device_name())
    dist.all_reduce(held, op=dist.ReduceOp.MAX, group=group)
    return int(held.item())


def _samples(data: TensorDict) -> list[TreeRow]:
    """The samples of a batch.

    Raises:
        ValueError: for what this engine does not do; the settings' checks let none of it come here.
    """
    for key in ("prompts", "responses"):
        if key not in data:
            raise ValueError(f"rl.share_prompts: a batch without {key}; set rl.share_prompts=false")
    if tu.get_non_tensor_data(data=data, key="distillation_use_topk", default=False):
        raise ValueError("rl.share_prompts: no distillation with it; set rl.share_prompts=false")
    return [
        layout.sample(prompt, answer)
        for prompt, answer in zip(_rows(data["prompts"]), _rows(data["responses"]), strict=True)
    ]


def _rows(nested: torch.Tensor) -> list[Any]:
    rows = nested.unbind()
    flat = torch.cat(rows).cpu()  # one copy from the device, not one a row
    return [row.numpy() for row in flat.split([len(row) for row in rows])]


def _spread(values: torch.Tensor, spots: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The answer tokens' values at their place in the samples, zero on the prompts, as a nested tensor."""
    flat = values.new_zeros(ids.values().shape[0]).index_put((spots,), values)
    return torch.nested.nested_tensor_from_jagged(flat, ids.offsets())
