"""Tree attention: a token sees its ancestors and nothing else, by each of the two ways to compute it."""

from __future__ import annotations

import random
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funreason_train.models.attention import tree_attention
from funreason_train.models.attention.maskable import unmaskable

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def ends_of(length: int, seed: int, share: float = 0.05) -> Any:
    """A random tree in preorder."""
    draw = random.Random(seed)
    parents = [-1]
    for place in range(1, length):
        above = place - 1
        while above >= 0 and draw.random() < share:
            above = parents[above]
        parents.append(above)
    ends = list(range(1, length + 1))
    for place in range(length - 1, 0, -1):
        if parents[place] >= 0:
            ends[parents[place]] = max(ends[parents[place]], ends[place])
    return torch.tensor(ends)


def dense(query: Any, key: Any, value: Any, ends: Any, window: int | None) -> Any:
    seen = tree_attention.visible(ends)
    if window is not None:
        depths = seen.sum(1)
        seen = seen & (depths[:, None] - depths[None] < window)
    groups = query.shape[1] // key.shape[1]
    wide = (part.repeat_interleave(groups, 1) for part in (key, value))
    found = torch.nn.functional.scaled_dot_product_attention(query, *wide, attn_mask=seen)
    return found.transpose(1, 2)


@pytest.mark.parametrize("window", [None, 9])
@pytest.mark.parametrize(("length", "share"), [(1, 0.1), (40, 0.3), (300, 0.02), (384, 0.0)])
def test_both_ways_give_what_a_dense_mask_gives(length: int, share: float, window: int | None) -> None:
    ends = ends_of(length, length, share)
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, length, 16) for heads in (4, 2, 2))
    mask = ends.view(1, 1, 1, -1)
    wanted = dense(query, key, value, ends, window)
    found, _ = tree_attention.tree_attention(None, query, key, value, mask, sliding_window=window)
    torch.testing.assert_close(found, wanted, atol=2e-6, rtol=1e-5)
    with torch.no_grad():  # FlexAttention has no backward pass on a CPU
        found, _ = tree_attention.tree_blocks_attention(None, query, key, value, mask, sliding_window=window)
    torch.testing.assert_close(found, wanted, atol=2e-6, rtol=1e-5)


@given(st.integers(1, 700), st.integers(0, 99))
@settings(max_examples=15)
def test_the_block_mask_is_the_one_that_torch_makes_of_all_tokens(length: int, seed: int) -> None:
    from torch.nn.attention.flex_attention import create_block_mask

    ends = ends_of(length, seed, 0.01)
    seen = tree_attention.visible(ends)
    wanted = create_block_mask(lambda b, h, i, j: seen[i, j], None, None, length, length, device="cpu")
    found = tree_attention.block_mask(ends)
    assert found is tree_attention.block_mask(ends), "made once for all layers"
    for name in ("kv_num_blocks", "full_kv_num_blocks", "q_num_blocks", "full_q_num_blocks"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name
    assert found.to_dense().tolist() == wanted.to_dense().tolist()


def model(kind: str) -> Any:
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 32, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
        "use_cache": False, "tie_word_embeddings": False,
    }  # fmt: skip
    name = {"sliding": "Mistral"}.get(kind, kind)
    if kind == "sliding":
        sizes["sliding_window"] = 6
    config = getattr(transformers, f"{name}Config")(**sizes)
    assert unmaskable(config.to_dict()) is None
    return getattr(transformers, f"{name}ForCausalLM")(config).train()


@pytest.mark.parametrize("kind", ["Qwen3", "Llama", "sliding"])
@pytest.mark.parametrize("recompute", [False, True])
def test_loss_and_gradient_of_random_trees_are_those_of_their_rows(kind: str, recompute: bool) -> None:
    from funreason_train.models.attention.tree import TreeRow, laid_out
    from funreason_train.sft.tokens.tree_batch import SEGMENTS, SPLIT, TreeCollator

    class Tokenizer:
        pad_token_id = 0

    tree_attention.register()
    subject, draw = model(kind), random.Random(len(kind) + recompute)
    if recompute:
        subject.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for _ in range(4):
        rows: list[TreeRow] = []
        for _ in range(draw.randrange(1, 6)):
            base = draw.choice(rows).ids.tolist()[: draw.randrange(24)] if rows else []
            ids = base + [draw.randrange(1, 32) for _ in range(draw.randrange(2, 14))]
            learned = draw.randrange(1, len(ids))
            rows.append(TreeRow(numpy.array(ids, numpy.int32), learned, learned))
        items = sum(len(one.ids) - one.learned for one in rows)
        gradients, losses = [], []
        for tree in (False, True):
            subject.zero_grad()
            subject.set_attn_implementation(tree_attention.TREE if tree else "sdpa")
            loss = torch.zeros(())
            if tree:
                some = [laid_out(rows[:2]), laid_out(rows[2:])] if len(rows) > 2 else [laid_out(rows)]
                names = ("input_ids", "position_ids", "ends", "places", "labels", "segments")
                features = [
                    {**dict(zip(names, ([*column] for column in line[:6]), strict=True)), "split": line.split}
                    for line in some
                ]
                batch = TreeCollator(Tokenizer)(features)
                assert batch.pop(SPLIT).item() == sum(len(one.ids) for one in rows)
                batch.pop(SEGMENTS)
                loss = subject(**batch, num_items_in_batch=items).loss
            else:
                for one in rows:
                    labels = torch.tensor([[-100] * one.learned + one.ids[one.learned :].tolist()])
                    ids = torch.tensor(one.ids[None].tolist())
                    loss = loss + subject(input_ids=ids, labels=labels, num_items_in_batch=items).loss
            loss.backward()
            losses.append(loss.item())
            gradients.append(torch.cat([one.grad.flatten() for one in subject.parameters()]))
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)
        assert (gradients[1] - gradients[0]).norm() <= 1e-5 * gradients[0].norm()


def test_a_model_that_carries_a_state_is_found_by_asking_it() -> None:
    from funreason_train.sft.train.probe import leak

    class Stateful(torch.nn.Module):  # type: ignore[name-defined, misc]
        """A layer behind the attention that runs along the line."""

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, **inputs: Any) -> Any:
            found = self.inner(**inputs)
            found.logits = found.logits + 0.1 * found.logits.cumsum(1)
            return found

    tree_attention.register()
    subject = model("Qwen3")
    subject.set_attn_implementation(tree_attention.TREE)
    assert leak(subject, "cpu") < 1e-5 and subject.training
    assert leak(Stateful(subject), "cpu") > 1e-2


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "qwen3"}, None),
        ({"model_type": "llama", "rope_parameters": {}, "sliding_window": None}, None),
        ({"layer_types": ["full_attention", "sliding_attention"]}, None),
        (
            {"layer_types": ["linear_attention", "full_attention"]},
            "1 of 2 layers of the kind linear",
        ),
        ({"text_config": {"layer_types": ["conv"]}}, "1 of 1 layers of the kind conv"),
        ({"model_type": "qwen3_next"}, "carry a state"),
        ({"model_type": "new", "mamba_d_state": 16}, "mamba_d_state"),
        ({"model_type": "lfm2", "conv_L_cache": 3}, "carry a state"),
        ({"model_type": "bloom"}, "ALiBi"),
        *(({"model_type": "qwen3", "layer_types": odd}, None) for odd in (None, -1, 1.5, True, {"a": 1})),
        ({"attention_dropout": 0.1}, "leaves out tokens at random"),
        ({"attn_logit_softcapping": 50.0}, "soft-capped"),
    ],
)
def test_models_whose_layers_cannot_be_masked_are_told_apart(
    config: dict[str, Any], says: str | None
) -> None:
    found = unmaskable(config)
    assert (found is None) == (says is None) and (says or "") in (found or "")


@pytest.mark.parametrize("name", ["Qwen3Next", "Lfm2", "Mamba", "Jamba", "FalconH1"])
def test_transformers_own_defaults_are_enough_to_tell(name: str) -> None:
    assert unmaskable(getattr(transformers, f"{name}Config")().to_dict())
