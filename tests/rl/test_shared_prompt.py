"""A row that shares its prompt gives every answer the log-probabilities of a row of its own."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from funreason_train.rl.cpu import shared_prompt

torch = pytest.importorskip("torch")

TOKENS = 40
_row = some.lists(some.integers(0, TOKENS - 1), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=TOKENS,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        attn_implementation="sdpa",
    )
    return Qwen3ForCausalLM(config).eval()


def alone(model: Any, prompt: Any, answer: Any) -> Any:
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits, -1)[range(len(answer)), answer]


def together(model: Any, lay: Any) -> Any:
    output = model(
        input_ids=lay.ids, attention_mask=lay.mask, position_ids=lay.positions, logits_to_keep=lay.kept
    )
    return torch.log_softmax(output.logits[0], -1)[lay.rows, lay.labels]


@settings(max_examples=20)
@given(data=some.data())
def test_log_probabilities_and_gradients_are_those_of_separate_rows(model: Any, data: Any) -> None:
    choices = data.draw(some.lists(_row, min_size=1, max_size=3))
    samples = data.draw(some.lists(some.tuples(some.sampled_from(choices), _row), min_size=1, max_size=6))
    prompts, answers = [prompt for prompt, _ in samples], [answer for _, answer in samples]
    separate = torch.cat([alone(model, *sample) for sample in samples])
    shared = together(model, shared_prompt.layout(prompts, answers))
    torch.testing.assert_close(shared, separate, atol=1e-5, rtol=1e-4)
    gradients = []
    for values in (separate, shared):
        model.zero_grad()
        (values * torch.arange(len(values))).sum().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-3, rtol=1e-3)


def test_the_prompt_stands_once_for_its_group() -> None:
    lay = shared_prompt.layout([[1, 2, 3]] * 4, [[4], [5, 6], [7], [8, 9, 10]])
    assert lay.ids.shape[1] == 3 + 1 + 2 + 1 + 3
    assert lay.positions.tolist()[0] == [0, 1, 2, 3, 3, 4, 3, 3, 4, 5]


def test_targets_are_the_places_before_the_answers_tokens() -> None:
    lay = shared_prompt.layout([[1, 2], [3]], [[4, 5], [6]])
    assert lay.targets.tolist() == [1, 2, 4]  # of 1 2 4 5 | 3 6


@given(
    some.lists(
        some.tuples(some.sampled_from([(1,), (1, 2), (3, 4, 5)]), some.integers(1, 9)),
        min_size=1,
        max_size=30,
    ),
    some.integers(1, 40),
)
def test_packs_hold_every_sample_once_and_keep_to_the_budget(samples: Any, budget: Any) -> None:
    prompts, lengths = [prompt for prompt, _ in samples], [length for _, length in samples]
    rows = shared_prompt.packs(prompts, lengths, budget)
    assert sorted(index for row in rows for index in row) == list(range(len(samples)))
    for row in rows:
        used = sum(len(prompt) for prompt in {prompts[index] for index in row}) + sum(
            lengths[index] for index in row
        )
        assert used <= budget or len(row) == 1


def test_packs_keep_a_group_together_when_it_fits() -> None:
    rows = shared_prompt.packs([(1, 2), (3,), (1, 2), (3,)], [2, 2, 2, 2], 6)
    assert rows == [[0, 2], [1, 3]]


def test_samples_packed_into_one_row_do_not_see_each_other_with_plain_attention(model: Any) -> None:
    """What `rl.attention=sdpa` relies on where flash-attn is not installed: verl's rows without padding."""
    first, second = [1, 2, 3, 4, 5], [6, 7, 8]
    positions = torch.tensor([[*range(len(first)), *range(len(second))]])
    with torch.no_grad():
        packed = model(
            input_ids=torch.tensor([first + second]), position_ids=positions, use_cache=False
        ).logits[0]
        apart = [model(input_ids=torch.tensor([row]), use_cache=False).logits[0] for row in (first, second)]
    torch.testing.assert_close(packed, torch.cat(apart), atol=1e-5, rtol=1e-4)


def test_verl_takes_its_own_key_for_a_shared_prompt_and_ignores_it() -> None:
    """verl#7202. If this fails, verl has fixed it: compare it with ours in benchmarks/rl/shared_prompt.py."""
    from funreason_train.rl.verl import installed_keys

    folder = installed_keys.verl_folder()
    callers = [
        file.relative_to(folder).as_posix()
        for place in ("workers", "trainer/ppo/v1", "models", "utils")
        for file in (folder / place).rglob("*.py")
        if "prefix_grouper_utils" in (text := file.read_text(encoding="utf-8"))
        or "use_prefix_grouper=" in text.replace(" ", "")
    ]
    assert callers == []
