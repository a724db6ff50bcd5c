"""What autocast keeps for the backward pass, counted on transformers' own models, is what the plan says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster.plan.test_plan_arithmetic import SFT

from funreason_train.cluster.plan import activations, sft
from funreason_train.cluster.plan.shape import KNOWN, Shape

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

_TOKENS, _VOCAB = 256, 64


def kept(kind: str, shape: Shape, layers: int) -> tuple[int, int]:
    """Bytes of activations and of 16-bit copies of weights that a pass of such a model keeps."""
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        vocab_size=_VOCAB,
        tie_word_embeddings=True,
        use_cache=False,
    )
    model: Any = getattr(transformers, f"{kind}ForCausalLM")(config).float().train()
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    shapes = {tuple(one.shape) for one in model.parameters()}
    shapes |= {shape[::-1] for shape in shapes}
    found: dict[int, tuple[bool, int]] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found.setdefault(storage.data_ptr(), (tuple(tensor.shape) in shapes, storage.nbytes()))
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        # Held, or the next tensor could lie where a freed one was.
        _output = model(input_ids=torch.zeros((1, _TOKENS), dtype=torch.long))
    weights = sum(size for is_weight, size in found.values() if is_weight)
    return sum(size for _, size in found.values()) - weights, weights


@pytest.mark.parametrize("kind", ["Llama", "Qwen3"])
def test_the_bytes_of_a_layer_are_those_that_torch_saves(kind: str) -> None:
    shape = Shape(1, 192, 480, 6, 2, 48, _VOCAB, True, qk_norm=kind == "Qwen3")
    (few, few_weights), (more, more_weights) = kept(kind, shape, 2), kept(kind, shape, 4)
    assert (more - few) / 2 == pytest.approx(activations.autocast(shape, _TOKENS), rel=0.03)
    assert (more_weights - few_weights) / 2 == pytest.approx(2 * shape.layer, rel=0.03)


def test_sft_without_deepspeed_counts_what_autocast_keeps() -> None:
    """SmolLM2-135M in a line of 2,048 tokens: 67 MB of activations a layer were counted with trees."""
    job = replace(SFT, shape=KNOWN["smollm2-135m-instruct"], zero=None, recompute=False, longest=2048)
    parts = sft.memory(job)["loss"]
    assert parts["activations"] / job.shape.layers == pytest.approx(67e6, rel=0.1)
    assert parts["weights"] == 6 * job.shape.parameters
    again = sft.memory(replace(job, recompute=True))["loss"]
    assert again["activations"] == 4 * 2048 * job.shape.layers * job.shape.hidden
    assert sft.memory(replace(job, zero=2))["loss"]["activations"] < parts["activations"] / 1.5
