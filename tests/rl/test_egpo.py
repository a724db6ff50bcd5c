"""EGPO's advantage against the formula, worked out by hand, and through verl's registry."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rl.rl_runs import small_run, told

from funreason_train.rl.train import egpo

# What a tokenizer without a tag token would make of "ab</think>\n\n[f()]"; the tag is complete with token 4.
PIECES = ["a", "b", "</", "think", ">", "\n\n", "[f", "()]"]


def decode(ids: Any) -> Any:
    return "".join(PIECES[number] for number in ids)


@pytest.mark.parametrize(
    ("advantage", "entropy", "expected"),
    [
        (1.0, 0.1, 1.04),  # below the bound: 1 + 0.4 x 0.1
        (1.0, 0.9, 1.2),  # bounded at 1/2: 1 + 0.4 x 0.5
        (-1.0, 0.9, -0.8),  # a wrong answer after an uncertain thought is punished less
        (-2.0, 0.3, -1.88),
        (0.0, 5.0, 0.0),  # no signal stays no signal
    ],
)
def test_the_formula(advantage: float, entropy: float, expected: float) -> None:
    found = egpo.shaped(torch.tensor([advantage]), torch.tensor([entropy]), weight=0.4, bound=2.0)
    assert found.item() == pytest.approx(expected)


@given(st.floats(-5, 5), st.floats(0, 20))
def test_an_advantage_changes_by_a_fifth_at_most_and_keeps_its_sign(advantage: float, entropy: float) -> None:
    before = torch.tensor([advantage], dtype=torch.float64)
    after = egpo.shaped(before, torch.tensor([entropy], dtype=torch.float64), weight=0.4, bound=2.0)
    assert (after - before).abs().item() <= 0.2 * abs(advantage) + 1e-12
    assert after.item() * advantage >= 0


def test_no_gradient_flows_through_the_entropy() -> None:
    entropy = torch.tensor([0.1, 3.0], requires_grad=True)
    assert not egpo.shaped(torch.tensor([1.0, -1.0]), entropy, 0.4, 2.0).requires_grad


def test_the_thought_begins_at_token_0_and_ends_before_its_tag() -> None:
    ids = list(range(len(PIECES)))
    assert egpo.thought_length(ids, decode) == 4
    assert egpo.thought_length(ids[:2], decode) == 2, "a thought that never ends is all of the response"
    assert egpo.thought_length(ids[2:], decode) == 2, "nothing was thought: only parts of the tag"
    assert egpo.thought_length([], decode) == 0


def test_only_the_thought_is_averaged() -> None:
    entropy = torch.tensor([1.0, 2.0, 3.0, 4.0, 90.0, 90.0, 90.0, 90.0])
    assert egpo.thought_entropy(entropy, range(8), decode) == pytest.approx(2.5)


def test_through_verl() -> None:
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn

    estimator = egpo.register(weight=0.4, bound=2.0)
    assert get_adv_estimator_fn("egpo") is estimator
    # Two groups of two: one right and one wrong, and two wrong.
    rewards = torch.zeros(4, 3)
    rewards[0, 2] = 1.0
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]])
    estimator.entropies = torch.tensor([9.0, 0.1, 9.0, 9.0])
    advantages, returns = estimator(rewards, mask, np.array(["a", "a", "b", "b"]), config=None)
    z = 0.5 / math.sqrt(0.5)  # the group's own mean and sample deviation
    expected = [[1.2 * z] * 3, [-z + 0.04, -z + 0.04, 0.0], [0.0] * 3, [0.0] * 3]
    assert torch.allclose(advantages, torch.tensor(expected), atol=1e-5)
    assert torch.equal(advantages, returns)
    with pytest.raises(RuntimeError, match="one entropy a sample"):
        estimator(rewards, mask, np.array(["a", "a", "b", "b"]))


def test_egpo_says_what_it_cannot_do_without(tmp_path: Path) -> None:
    config, _ = small_run(
        tmp_path, "algorithm=egpo", "rl.trust_rollout_log_probs=true", "rl.algorithm.entropy_bound=0"
    )
    found = " ".join(told(config))
    assert "rl.trust_rollout_log_probs" in found
    assert "rl.algorithm.entropy_bound=0" in found


def test_an_episode_of_many_responses_counts_once_and_each_leans_on_its_own_entropy() -> None:
    rewards = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    mask = torch.ones(4, 2)
    group = np.array(["a"] * 4, dtype=object)
    estimator = egpo.Egpo(weight=0.4, bound=2.0)
    # The first three rows are one episode: it is compared with the fourth as one against one.
    estimator.entropies, estimator.stand_ins = torch.tensor([0.1, 0.2, 9.0, 0.0]), [2, 2, 2, 3]
    advantages, _ = estimator(rewards, mask, group)
    estimator.entropies = torch.tensor([0.0, 0.0])
    plain, _ = estimator(rewards[2:], mask[2:], group[2:])
    a = float(plain[0, 0])
    assert a == pytest.approx(-float(plain[1, 0]))
    expected = [a + 0.4 * 0.1, a + 0.4 * 0.2, a + 0.4 * a / 2, -a]
    assert advantages[:, 0].tolist() == pytest.approx(expected)
