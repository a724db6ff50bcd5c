"""Whether a step taught anything: figures of one batch of scored samples (pure functions)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def groups(uids: Sequence[str], scores: Sequence[float]) -> dict[str, list[float]]:
    """The scores of each prompt's samples.

    Args:
        uids: The prompt each sample belongs to.
        scores: One score a sample, in the same order.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for uid, score in zip(uids, scores, strict=True):
        found[uid].append(score)
    return dict(found)


def without_signal(grouped: Mapping[str, Sequence[float]]) -> float:
    """The share of groups whose samples all scored the same: their advantages are zero (0 to 1)."""
    if not grouped:
        return 0.0
    return sum(max(scores) == min(scores) for scores in grouped.values()) / len(grouped)


def sampled_entropy(log_probs: Sequence[Sequence[float]], masks: Sequence[Sequence[int]]) -> float:
    """The entropy a token in nats, estimated from the samples: the mean of -log p over their tokens.

    Costs no pass over the vocabulary; it estimates the entropy of the sampling distribution at temperature 1.

    Args:
        log_probs: Of each sample's tokens, as the rollout engine gave them.
        masks: 1 where the model wrote the token.
    """
    values = [
        -value
        for row, mask in zip(log_probs, masks, strict=True)
        for value, written in zip(row, mask, strict=True)
        if written
    ]
    return sum(values) / len(values) if values else 0.0


def log_prob_difference(
    rollout: Sequence[Sequence[float]], actor: Sequence[Sequence[float]], masks: Sequence[Sequence[int]]
) -> float:
    """The mean difference of a token's log-probability in the rollout engine and in the actor, in nats.

    Args:
        rollout: Of each sample's tokens, as the rollout engine gave them.
        actor: Of the same tokens, as the model that is trained gives them.
        masks: 1 where the model wrote the token.
    """
    apart = [
        abs(ours - theirs)
        for pair in zip(rollout, actor, masks, strict=True)
        for ours, theirs, written in zip(*pair, strict=True)
        if written
    ]
    return sum(apart) / len(apart) if apart else 0.0


def summary(
    uids: Sequence[str], scores: Sequence[float], details: Iterable[Mapping[str, Any]]
) -> dict[str, float]:
    """The figures of one step.

    Args:
        uids: The prompt of each sample.
        scores: The score of each sample.
        details: What else the reward and the agent loop said of each sample; every finite number is averaged.

    Returns:
        `health/groups_without_signal`, `health/score` and `reward/NAME` for each number in `details`.
    """
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for detail in details:
        for name, value in detail.items():
            if isinstance(value, int | float):
                sums[name] += float(value)
                counts[name] += 1
    figures = {f"reward/{name}": sums[name] / counts[name] for name in sums if name != "score"}
    figures["health/score"] = sum(scores) / len(scores) if scores else 0.0
    figures["health/groups_without_signal"] = without_signal(groups(uids, scores))
    return figures
