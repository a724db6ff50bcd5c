"""Episodes whose environment failed have no part in their group's advantages (verl's own code around it).

Their tokens are masked already, so no loss comes of them. What is left to do is to keep their score, which
means nothing, out of the mean and the spread that the others are compared with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

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
