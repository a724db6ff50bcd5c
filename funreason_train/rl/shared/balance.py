"""Which samples each worker gets: those of a prompt together, and as much work for each (pure).

verl balances samples one by one, which parts those of a prompt, and a prompt whose samples lie with four
workers is computed four times. Which samples make an optimiser update does not depend on the number of
workers here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..rollout.sampling import sample_order

#: A token's own work in units of one pair of tokens' attention (verl/utils/seqlen_balancing.py).
_TOKEN = 24576


class Sample(NamedTuple):
    """What there is to know of a sample.

    Attributes:
        group: The name of its prompt as it was drawn; an episode's responses have one.
        prompt: Tokens of its own prompt.
        answer: Tokens of its answer.
        padding: It only fills the batch up.
    """

    group: str
    prompt: int
    answer: int
    padding: bool = False


def keep_together(batch: Any, workers: int, updates: int) -> dict[str, int]:
    """Reorders a batch so that dispatch, which cuts it into equal pieces, keeps groups together.

    Args:
        batch: verl's (`KVBatchMeta`): keys, tags and `reorder`.
        workers: Among which it is divided.
        updates: Optimiser updates that are made of it.

    Returns:
        Fewest and most tokens of a worker, those of a prompt counted once.
    """
    order = sorted(range(len(batch.keys)), key=lambda at: sample_order(batch.keys[at]))
    samples = [
        Sample(
            sample_order(batch.keys[at])[0],
            int(batch.tags[at]["prompt_len"]),
            int(batch.tags[at]["response_len"]),
            bool(batch.tags[at].get("is_padding", False)),
        )
        for at in order
    ]
    shares = arranged(samples, workers, updates)
    batch.reorder([order[number] for share in shares for number in share])
    tokens = [once(samples[number] for number in share) for share in shares]
    return {"global_seqlen/shared_min": min(tokens), "global_seqlen/shared_max": max(tokens)}


def arranged(samples: Sequence[Sample], workers: int, updates: int) -> list[list[int]]:
    """Each worker's samples, by number, equally many for each; those of an update stand together.

    Args:
        samples: Those of a group after one another; as many as a multiple of `workers` x `updates`.
        workers: Among which they are divided.
        updates: Optimiser updates that are made of them.
    """
    shares: list[list[int]] = [[] for _ in range(workers)]
    for part in _parts(samples, updates):
        for share, cell in zip(shares, _cells(samples, part, workers), strict=True):
            share += cell
    return shares


def once(samples: Iterable[Sample]) -> int:
    """Tokens to compute if a group's prompts of one length are one prompt, as they nearly always are."""
    held = list(samples)
    prompts = {(one.group, one.prompt) for one in held}
    return sum(one.answer for one in held) + sum(length for _, length in prompts)


def _parts(samples: Sequence[Sample], updates: int) -> list[list[int]]:
    """The samples of each update: groups in their order, and what fills up spread evenly."""
    real = [number for number, one in enumerate(samples) if not one.padding]
    filling = [number for number, one in enumerate(samples) if one.padding]
    size, parts = len(samples) // updates, []
    for update in range(updates):
        first, last = (len(filling) * edge // updates for edge in (update, update + 1))
        taken, real = real[: size - (last - first)], real[size - (last - first) :]
        parts.append([*taken, *filling[first:last]])
    return parts


def _cells(samples: Sequence[Sample], part: Sequence[int], workers: int) -> list[list[int]]:
    """Divides an update: the largest group first, each to the worker with the least work that has room."""
    found: dict[str, list[int]] = {}
    for number in part:
        found.setdefault(samples[number].group, []).append(number)
    size = len(part) // workers
    cells: list[list[int]] = [[] for _ in range(workers)]
    loads, apart = [0] * workers, []
    work = {name: _work([samples[number] for number in group]) for name, group in found.items()}
    for name in sorted(found, key=lambda name: -work[name]):
        room = [worker for worker in range(workers) if len(cells[worker]) + len(found[name]) <= size]
        if not room:
            apart.append(found[name])
            continue
        chosen = min(room, key=lambda worker: loads[worker])
        cells[chosen] += found[name]
        loads[chosen] += work[name]
    for rest in apart:
        while rest:
            chosen = min(range(workers), key=lambda worker: len(cells[worker]))
            room_left = size - len(cells[chosen])
            cells[chosen] += rest[:room_left]
            rest = rest[room_left:]
    return [sorted(cell) for cell in cells]


def _work(group: Sequence[Sample]) -> int:
    """What a group costs: each sample, less the copies of its prompt."""
    prompts = {one.prompt for one in group}
    samples = sum(_pairs(one.prompt + one.answer) - _pairs(one.prompt) for one in group)
    return samples + sum(map(_pairs, prompts))


def _pairs(tokens: int) -> int:
    return _TOKEN * tokens + tokens * tokens
