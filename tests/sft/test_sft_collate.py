"""Packed batches give the loss of the rows alone, with a dense mask and with boundaries from positions."""

from __future__ import annotations

import random
from typing import Any

import pytest

from funreason_train.models.attention import VARLEN, register
from funreason_train.sft.tokens.packing import IGNORED, joined

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


class Tokenizer:
    pad_token_id = 0


def rows(*lengths: int) -> list[tuple[list[int], list[int]]]:
    draw = random.Random(0)
    found = []
    for length in lengths:
        ids = [draw.randrange(1, 64) for _ in range(length)]
        found.append((ids, [IGNORED] * (length - 3) + ids[-3:]))
    return found


def model(attention: str) -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, use_cache=False,
    )  # fmt: skip
    config._attn_implementation = attention
    return transformers.Qwen3ForCausalLM(config).train()


@pytest.mark.parametrize("attention", [VARLEN, "sdpa"])
@pytest.mark.parametrize("lean", [False, True])
def test_the_loss_of_packed_rows_is_that_of_rows_alone(attention: str, lean: bool) -> None:
    from funreason_train.sft.tokens.collate import PackedCollator
    from funreason_train.sft.train.lean import install

    register()
    packed = rows(9, 5, 12, 7)
    features = [joined(packed[:2]), joined(packed[2:])]
    batch = PackedCollator(Tokenizer(), attention)(features)
    assert batch["input_ids"].shape == (1, 40), "33 tokens in one line, to a multiple of 8"
    assert ("attention_mask" in batch) == (attention == "sdpa")
    subject = model(attention)
    if lean:
        install(subject)
    found = subject(**batch, num_items_in_batch=12).loss
    alone = model("sdpa")
    wanted = sum(
        alone(input_ids=torch.tensor([ids]), labels=torch.tensor([labels]), num_items_in_batch=12).loss
        for ids, labels in packed
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
