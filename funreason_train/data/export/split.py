"""Who goes to validation, how often each source counts, and the order: all decided by hashes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...dialogue import Trajectory
from ..spool import Kept


def opening_key(trajectory: Trajectory) -> str:
    """Hash of the first user message without case and spacing.

    Conversations that open alike share it, so that they stand on the same side of the split.
    """
    opening = " ".join(trajectory.turns[0].user.lower().split())
    return _digest(opening)


def _digest(*parts: object) -> str:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def _share(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    return int(_digest(*parts)[:13], 16) / 16**13


def split(kept: Sequence[Kept], share: float, seed: int) -> tuple[list[Kept], list[Kept]]:
    """Divides conversations into training and validation.

    Args:
        kept: All conversations.
        share: Of the distinct openings, the part that goes to validation; if it is above 0 and there are
            two openings, validation and training get at least one each.
        seed: Another seed draws another part.

    Returns:
        Training and validation conversations, in the order given.
    """
    keys = sorted({one.key for one in kept}, key=lambda key: _digest(seed, "split", key))
    chosen = {key for key in keys if _share(seed, "split", key) < share}
    if share > 0 and len(keys) > 1:
        chosen = chosen or {keys[0]}
        if len(chosen) == len(keys):
            chosen.discard(keys[-1])
    return [one for one in kept if one.key not in chosen], [one for one in kept if one.key in chosen]


def rows_of_sides(rows: int | None, share: float) -> tuple[int | None, int | None]:
    """How many of the conversations that a source is asked for are for training, and how many for validation.

    Args:
        rows: As the source's node says; None for all.
        share: The part that goes to validation.
    """
    if rows is None:
        return None, None
    validation = round(rows * share)
    return rows - validation, validation


def mix(kept: Sequence[Kept], nodes: Mapping[str, Mapping[str, Any]], seed: int) -> list[Kept]:
    """Takes from each source what its node asks for, and shuffles.

    Args:
        kept: Conversations of one side of the split.
        nodes: Source -> its node of the config, with `rows` (how many conversations; null for all) and
            `weight` (how often each one counts; 0.5 takes every second one).
        seed: Of the choice and the order.

    Returns:
        The conversations to export; one may stand there more than once.
    """
    chosen: list[tuple[str, Kept]] = []
    for source, node in nodes.items():
        mine = [one for one in kept if one.source == source]
        ranked = sorted(mine, key=lambda one: _digest(seed, "mix", source, one.key, one.id))
        rows = len(ranked) if node["rows"] is None else min(int(node["rows"]), len(ranked))
        ranked = ranked[:rows]
        whole = math.floor(node["weight"])
        extra = round((node["weight"] - whole) * len(ranked))
        for again in range(whole):
            chosen += ((_digest(seed, "order", again, one.key, one.id), one) for one in ranked)
        chosen += ((_digest(seed, "order", whole, one.key, one.id), one) for one in ranked[:extra])
    return [one for _, one in sorted(chosen, key=lambda pair: pair[0])]
