"""EGPO's advantage: GRPO's, moved by the entropy of the thought (arXiv 2508.05118).

A group whose samples all scored the same has A = 0, so it stays without signal whatever the entropy. An
advantage never changes its sign as long as weight < bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

#: The name under which verl knows the estimator (`algorithm.adv_estimator`).
NAME = "egpo"
_END = "</think>"


def shaped(advantages: torch.Tensor, entropies: torch.Tensor, weight: float, bound: float) -> torch.Tensor:
    """A + weight x clip(H, -|A|/bound, +|A|/bound), without a gradient.

    Args:
        advantages: A of each sample, shape (samples,).
        entropies: H of each sample in nats, shape (samples,).
        weight: The paper's lambda.
        bound: The paper's alpha.
    """
    limit = advantages.detach().abs() / bound
    return advantages + weight * entropies.detach().clamp(min=-limit, max=limit)


def thought_length(ids: Sequence[int], decode: Callable[[list[int]], str]) -> int:
    """How many of a response's tokens are its thought: those before the token that completes `</think>`.

    The prompt ends in `<think>`, so the thought begins at token 0; one that never ends is all of the
    response.

    Args:
        ids: The response's tokens.
        decode: Ids to text, special tokens included.
    """
    ids = list(ids)
    if _END not in decode(ids):
        return len(ids)
    low, high = 1, len(ids)  # the shortest prefix that holds the tag is found by halving: decoding is dear
    while low < high:
        middle = (low + high) // 2
        if _END in decode(ids[:middle]):
            high = middle
        else:
            low = middle + 1
    return low - 1


def thought_entropy(entropy: torch.Tensor, ids: Sequence[int], decode: Callable[[list[int]], str]) -> float:
    """The mean entropy over a response's thought in nats; 0 for an empty thought.

    Args:
        entropy: Of each response token, shape (tokens,).
        ids: The response's tokens.
        decode: Ids to text, special tokens included.
    """
    length = thought_length(ids, decode)
    return float(entropy[:length].detach().float().mean()) if length else 0.0


class Egpo:
    """The estimator in the form that verl calls (`register_adv_est` in verl/trainer/ppo/core_algos.py).

    verl hands an estimator rewards, mask and groups, but no entropies; whoever has the batch sets `entropies`
    first.
    """

    def __init__(self, weight: float, bound: float) -> None:
        self.weight, self.bound = weight, bound
        #: One value a row of the batch that is scored next, in its order.
        self.entropies: torch.Tensor | None = None
        #: For each row the one that stands for its sample, where samples have several (episodes): groups are
        #: compared sample by sample, and each response leans on its own entropy. None: every row for itself.
        self.stand_ins: Sequence[int] | None = None

    def __call__(
        self,
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        index: np.ndarray,
        config: Any = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Advantages and returns, both of shape (samples, tokens).

        Args:
            token_level_rewards: Shape (samples, tokens); a row's sum is its score.
            response_mask: Shape (samples, tokens), 1 where the model wrote the token.
            index: The group of each sample.
            config: verl's `algorithm` section.

        Raises:
            RuntimeError: if the entropies of this batch were not set.
        """
        import torch
        from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

        entropies, self.entropies = self.entropies, None
        stand_ins, self.stand_ins = self.stand_ins, None
        if entropies is None or len(entropies) != len(token_level_rewards):
            raise RuntimeError("EGPO needs one entropy a sample of this batch")
        scores = token_level_rewards.sum(dim=-1, keepdim=True)
        by_std = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
        rows = range(len(scores)) if stand_ins is None else stand_ins
        samples = sorted(set(rows))
        compared, _ = compute_grpo_outcome_advantage(
            scores[samples],
            torch.ones_like(scores[samples]),
            index[samples],
            norm_adv_by_std_in_grpo=by_std,
        )
        place = {row: at for at, row in enumerate(samples)}
        grouped = compared[[place[row] for row in rows]]
        moved = shaped(grouped.squeeze(-1), entropies.to(scores), self.weight, self.bound)
        advantages = moved.unsqueeze(-1) * response_mask
        return advantages, advantages


def register(weight: float, bound: float) -> Egpo:
    """Makes the estimator known to verl in this process, in place of an earlier one, and hands it over."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

    estimator = Egpo(weight, bound)
    ADV_ESTIMATOR_REGISTRY.pop(NAME, None)  # verl refuses another one under a name that is taken
    register_adv_est(NAME)(estimator)
    return estimator
