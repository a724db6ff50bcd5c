"""Variable-length attention against dense attention: boundaries, values, gradients, and a whole model."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.models.attention import (
    FLASH,
    VARLEN,
    boundaries,
    choose,
    register,
    varlen_attention,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([[0, 1, 2, 0, 1]], [0, 3, 5]),
        ([[0, 1, 2], [0, 1, 2]], [0, 3, 6]),
        ([[0, 0, 0]], [0, 1, 2, 3]),
        ([[5, 6, 7, 0, 1]], [0, 3, 5]),  # a row need not begin at 0
        ([[0]], [0, 1]),
    ],
)
def test_rows_begin_where_positions_do_not_go_on(positions: list[list[int]], expected: list[int]) -> None:
    found = boundaries(torch.tensor(positions))
    assert found.tolist() == expected and found.dtype == torch.int32


def dense(query: Any, key: Any, value: Any, positions: Any, window: int | None) -> Any:
    """Attention written out, one score at a time, from the definition."""
    batch, heads, length, size = query.shape
    group = heads // key.shape[1]
    key, value = (one.repeat_interleave(group, dim=1) for one in (key, value))
    scores = query @ key.transpose(-1, -2) * size**-0.5
    rows = torch.zeros_like(positions)
    for line in range(batch):
        for place in range(1, length):
            goes_on = positions[line, place] == positions[line, place - 1] + 1
            rows[line, place] = rows[line, place - 1] + (0 if goes_on else 1)
    places = torch.arange(length)
    distance = places[:, None] - places[None]
    seen = (rows[:, :, None] == rows[:, None, :]) & (distance >= 0)
    if window is not None:
        seen = seen & (distance < window)
    return (scores.masked_fill(~seen[:, None], float("-inf")).softmax(-1) @ value).transpose(1, 2)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("lengths", [[9], [4, 5], [1, 7, 1], [3, 3, 3]])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_values_and_gradients_are_those_of_dense_attention(
    lengths: list[int], key_heads: int, window: int | None
) -> None:
    torch.manual_seed(0)
    positions = torch.cat([torch.arange(length) for length in lengths])[None].repeat(2, 1)
    shapes = [(2, 4, 9, 8), (2, key_heads, 9, 8), (2, key_heads, 9, 8)]
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    query, key, value = inputs
    found, _ = varlen_attention(None, query, key, value, None, sliding_window=window, position_ids=positions)
    wanted = dense(query, key, value, positions, window)
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(found)
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((wanted * weight).sum(), inputs)
    torch.testing.assert_close(ours, theirs)


def test_boundaries_are_worked_out_anew_where_positions_change() -> None:
    torch.manual_seed(0)
    one = [torch.randn(1, 2, 6, 4) for _ in range(3)]
    positions = torch.tensor([[0, 1, 2, 3, 4, 5]])
    query, key, value = one
    whole, _ = varlen_attention(None, query, key, value, None, position_ids=positions)
    positions.copy_(torch.tensor([[0, 1, 2, 0, 1, 2]]))  # the same storage, as a loader may reuse it
    halves, _ = varlen_attention(None, query, key, value, None, position_ids=positions)
    assert not torch.allclose(whole[:, 3:], halves[:, 3:])


@pytest.mark.parametrize("more", [{"attention_mask": torch.ones(1, 1, 2, 2)}, {"dropout": 0.1}])
def test_what_the_kernel_does_not_do_is_refused(more: dict[str, Any]) -> None:
    inputs = [torch.randn(1, 2, 2, 4) for _ in range(3)]
    with pytest.raises(ValueError, match="attention=sdpa"):
        varlen_attention(None, *inputs, **{"attention_mask": None, **more})


def model(attention: str) -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, use_cache=False,
    )  # fmt: skip
    config._attn_implementation = attention
    return transformers.Qwen3ForCausalLM(config).train()


@pytest.mark.parametrize("attention", [VARLEN, "sdpa"])
def test_packed_rows_of_a_model_get_the_logits_of_rows_alone(attention: str) -> None:
    """Both are what RL's rows without padding rely on where flash-attn is not installed."""
    register()
    ids = torch.randint(0, 64, (1, 12), generator=torch.Generator().manual_seed(1))
    positions = torch.cat([torch.arange(5), torch.arange(7)])[None]
    packed = model(attention)(input_ids=ids, position_ids=positions).logits
    alone = [model("sdpa")(input_ids=ids[:, some]).logits for some in (slice(0, 5), slice(5, 12))]
    torch.testing.assert_close(packed, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-5)


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {"flash_attn": None}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found.get(name))
    assert choose("auto", "cpu") == "sdpa"
    assert choose("auto", "cuda") == VARLEN
    found["flash_attn"] = object()
    assert choose("auto", "cuda") == FLASH
    assert choose("sdpa", "cuda") == "sdpa"
