"""The short cuts of the forward pass change neither the loss nor its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def model() -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, use_cache=False,
        attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.Qwen3ForCausalLM(config).train()


def batch(lengths: list[int], answer: int = 4) -> dict[str, Any]:
    """Rows of these lengths, padded on the right, learning from their last `answer` tokens."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 64, (len(lengths), max(lengths)), generator=generator)
    mask, labels = torch.ones_like(ids), torch.full_like(ids, -100)
    for row, length in enumerate(lengths):
        mask[row, length:] = 0
        labels[row, length - answer : length] = ids[row, length - answer : length]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def loss_and_gradient(
    prepare: Callable[[Any], None], inputs: dict[str, Any], **more: Any
) -> tuple[float, Any]:
    subject = model()
    prepare(subject)
    loss = subject(**inputs, **more).loss
    loss.backward()
    return loss.item(), torch.cat([value.grad.flatten() for value in subject.parameters()])


@pytest.mark.parametrize("lengths", [[12, 12], [12, 7, 9], [5]])
@pytest.mark.parametrize("items", [None, 3.0])
def test_the_same_loss_and_gradient(lengths: list[int], items: float | None) -> None:
    from funreason_train.sft.train import lean

    more = {} if items is None else {"num_items_in_batch": items}
    expected, gradient = loss_and_gradient(lambda subject: None, batch(lengths), **more)
    found, lean_gradient = loss_and_gradient(lean.install, batch(lengths), **more)
    assert found == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(lean_gradient, gradient, rtol=1e-4, atol=1e-6)


def test_only_learned_positions_get_logits() -> None:
    from funreason_train.sft.train import lean

    subject = model()
    lean.install(subject)
    assert subject(**batch([12, 12])).logits.shape == (2, 4, 64)
    subject.eval()
    assert subject(**batch([12, 12])).logits.shape == (2, 12, 64)


def test_masks_that_are_not_right_padding_stay() -> None:
    from funreason_train.sft.train.lean import lean_inputs

    right = batch([12, 7])
    assert lean_inputs(right)["attention_mask"] is None
    left = {**right, "attention_mask": right["attention_mask"].flip(1)}
    packed = {**right, "attention_mask": torch.tensor([[1] * 6 + [2] * 6, [1] * 4 + [2] * 4 + [0] * 4])}
    for other in (left, packed, {**right, "position_ids": torch.arange(12).expand(2, 12)}):
        assert lean_inputs(other)["attention_mask"] is other["attention_mask"]


def _takes_them(hidden_states: Any, labels: Any, shift_labels: Any = None) -> None: ...


def _passes_them_over(hidden_states: Any, labels: Any, **more: Any) -> None: ...


@pytest.mark.parametrize(("loss", "shortens"), [(_takes_them, True), (_passes_them_over, False)])
def test_liger_is_given_chosen_positions_where_it_takes_them(
    monkeypatch: pytest.MonkeyPatch, loss: Callable[..., None], shortens: bool
) -> None:
    import sys
    from types import ModuleType

    from funreason_train.sft.train import lean

    utils: Any = ModuleType("loss_utils")
    utils.LigerForCausalLMLoss = loss
    for name in ("liger_kernel", "liger_kernel.transformers", "liger_kernel.transformers.model"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.model.loss_utils", utils)
    assert lean.liger_shortens() is shortens


def test_a_batch_without_labels_is_left_whole() -> None:
    from funreason_train.sft.train.lean import lean_inputs

    unlabelled = {**batch([6]), "labels": torch.full((1, 6), -100)}
    assert "logits_to_keep" not in lean_inputs(unlabelled)
