"""Episodes whose environment failed have no part in what others are compared with, filtered by or judged by.

Their tokens are masked already, so no loss comes of them. What is left to do is to keep their score, which
means nothing, out of verl's own computations: the mean and the spread of a group, the filter of groups
without signal, the figures of a step, and validation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np

from ...errors import UserError

#: What the reward says of an episode whose environment failed (`rollout.environment_loop`).
FAULT = "environment_fault"
#: verl's name for the score of a row, where its filter may use another figure of the reward.
_SCORE = "reward"
_COMPUTE = "compute_advantage_for_multi_trajectories"


@contextmanager
def quarantined(faulty: Collection[str]) -> Iterator[None]:
    """While this lasts, verl computes advantages without these responses.

    Args:
        faulty: Keys of the responses of episodes whose environment failed.
    """
    from verl.trainer.ppo.v1 import trainer_base

    compute = getattr(trainer_base, _COMPUTE)
    with patch.object(trainer_base, _COMPUTE, apart(compute, faulty)):
        yield


def apart(compute: Callable[..., Any], faulty: Collection[str]) -> Callable[..., Any]:
    """verl's function, with the faulty responses in groups of their own.

    A group of which fewer than two episodes are left has no signal: verl would give the last one its bare
    score as advantage.

    Args:
        compute: `compute_advantage_for_multi_trajectories`.
        faulty: Keys of responses.
    """

    def computed(data: Any, batch_keys: Sequence[str], **options: Any) -> Any:
        if not faulty:
            return compute(data, batch_keys=batch_keys, **options)
        groups = list(data.non_tensor_batch["uid"])
        alone = [
            f"fault/{_sample(key)}" if key in faulty else group
            for key, group in zip(batch_keys, groups, strict=True)
        ]
        data.non_tensor_batch["uid"] = np.array(alone, dtype=object)
        data = compute(data, batch_keys=batch_keys, **options)
        lonely = _lonely(batch_keys, groups, faulty)
        silent = [at for at, key in enumerate(batch_keys) if key in faulty or groups[at] in lonely]
        for name in ("advantages", "returns"):
            data.batch[name][silent] = 0.0
        data.non_tensor_batch["uid"] = np.array(groups, dtype=object)
        return data

    return computed


@contextmanager
def as_padding(batch: Any, faulty: Collection[str]) -> Iterator[None]:
    """While this lasts, verl takes the faulty responses for rows that only pad the batch: no figure has them.

    Args:
        batch: verl's, with keys and tags.
        faulty: Keys of the responses of episodes whose environment failed.
    """
    tags = zip(batch.keys, batch.tags, strict=True) if faulty else ()
    changed = [tag for key, tag in tags if key in faulty and not tag.get("is_padding", False)]
    for tag in changed:
        tag["is_padding"] = True
    try:
        yield
    finally:
        for tag in changed:
            tag["is_padding"] = False


@dataclass(frozen=True)
class Judged:
    """What a filter of groups has seen of a step.

    Attributes:
        prompts: Groups.
        episodes: Their episodes.
        faulty: How many of these failed with their environment.
        said: Why, of the first.
        groups: Of the groups with such an episode: the score that all others share, so that there is no
            signal, or None if they differ.
    """

    prompts: int = 0
    episodes: int = 0
    faulty: int = 0
    said: tuple[str, ...] = ()
    groups: Mapping[str, float | None] = field(default_factory=dict)

    def __add__(self, other: Judged) -> Judged:
        return Judged(
            self.prompts + other.prompts,
            self.episodes + other.episodes,
            self.faulty + other.faulty,
            self.said or other.said,
            {**self.groups, **other.groups},
        )

    @property
    def share(self) -> float:
        """Of the episodes, the faulty ones."""
        return self.faulty / self.episodes if self.episodes else 0.0

    @property
    def all_faulty(self) -> bool:
        """Whether there is no other episode."""
        return bool(self.episodes) and self.faulty == self.episodes

    @property
    def aside(self) -> str:
        """For a message about groups without signal; empty if the environment never failed."""
        if not self.faulty:
            return ""
        return f" (the environment failed in {self.faulty} of {self.episodes} episodes, which do not count)"


def judged(
    keys: Sequence[str], scores: Sequence[float], extras: Sequence[Any], metric: str = _SCORE
) -> Judged:
    """Looks at finished groups as a filter of groups without signal should.

    Args:
        keys: Responses, each PROMPT_SAMPLE_PART.
        scores: Of each.
        extras: verl's `extra_fields` of each.
        metric: The figure that the filter compares: `reward` for the score, else one that the reward gives.

    Returns:
        What was found. A group with a faulty episode has a signal if two of its other episodes differ.
    """
    infos = [
        dict(extra.get("reward_extra_info") or {}) if isinstance(extra, dict) else {} for extra in extras
    ]
    faulty = {_sample(key) for key, info in zip(keys, infos, strict=True) if info.get(FAULT)}
    said: tuple[str, ...] = ()
    values: dict[str, set[float]] = defaultdict(set)
    groups = {key.split("_")[0] for key in keys}
    hit = {sample.split("_")[0] for sample in faulty}
    for key, score, info, extra in zip(keys, scores, infos, extras, strict=True):
        if _sample(key) not in faulty:
            values[key.split("_")[0]].add(score if metric == _SCORE else float(info.get(metric, score)))
        elif not said and isinstance(extra, dict):
            said = tuple((extra.get("response") or {}).get("reasons") or ())
    decided = {
        group: None if len(values[group]) > 1 else next(iter(values[group]), 0.0) for group in sorted(hit)
    }
    return Judged(len(groups), len({_sample(key) for key in keys}), len(faulty), said, decided)


def all_failed(step: int, said: Sequence[str]) -> UserError:
    """The error of a step that has no other episode."""
    return UserError(
        f"the environment failed in all episodes of step {step} ({'; '.join(said) or 'no reason given'}; "
        "environment_faults). See that what it needs is there; the same command continues from the last "
        "checkpoint"
    )


def validated(
    sources: Sequence[Any],
    uids: Sequence[str],
    infos: Mapping[str, Sequence[Any]],
    turns: Sequence[Any],
    expected: Mapping[tuple[str, str], int] | None,
) -> tuple[list[Any], list[str], dict[str, list[Any]], list[Any], dict[tuple[str, str], int], float]:
    """verl's validation without the episodes whose environment failed: neither right nor wrong.

    Args:
        sources: The data set of each episode.
        uids: The prompt of each.
        infos: Figure -> its value for each.
        turns: Of each.
        expected: (data set, prompt) -> how many episodes there should be. verl counts those that are missing
            as wrong, which is right for one that was lost, not for one that is left out here.

    Returns:
        The five without them, and their share.
    """
    faults = infos.get(FAULT) or [None] * len(uids)
    kept = [at for at, fault in enumerate(faults) if not fault]
    wanted = dict(expected or {})
    for at, fault in enumerate(faults):
        place = (str(sources[at]), str(uids[at]))
        if fault and place in wanted:
            wanted[place] -= 1
    return (
        [sources[at] for at in kept],
        [uids[at] for at in kept],
        {name: [values[at] for at in kept] for name, values in infos.items() if name != FAULT},
        [turns[at] for at in kept] if len(turns) == len(uids) else list(turns),
        {place: count for place, count in wanted.items() if count > 0},
        1 - len(kept) / len(uids) if uids else 0.0,
    )


def _lonely(keys: Sequence[str], groups: Sequence[str], faulty: Collection[str]) -> set[str]:
    """Groups that lost episodes and have fewer than two left."""
    left: dict[str, set[str]] = defaultdict(set)
    lost: set[str] = set()
    for key, group in zip(keys, groups, strict=True):
        if key in faulty:
            lost.add(group)
        else:
            left[group].add(_sample(key))
    return {group for group in lost if len(left[group]) < 2}


def _sample(key: str) -> str:
    """The episode of a response, from PROMPT_SAMPLE_PART."""
    return key.rpartition("_")[0]
