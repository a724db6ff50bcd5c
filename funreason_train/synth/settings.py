"""What is wrong with the section `synth` of a configuration, seen before anything is made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..settings.compose import unknown
from .makers import MAKERS, maker


def problems(synth: Any) -> list[str]:
    """Every problem, as sentences.

    Args:
        synth: The section, as OmegaConf holds it.
    """
    if synth.maker not in MAKERS:
        return [unknown("maker", str(synth.maker), MAKERS)]
    found = [*_counts(synth)]
    node = synth[synth.maker]
    for key, high in (("categories", math.inf), ("errors", 1.0)):
        found += _weights(f"synth.{synth.maker}.{key}", node.get(key), high)
    if lacking := maker(synth.maker).missing():
        found.append(f"synth.maker={synth.maker}: {lacking}")
    return found


def _counts(synth: Any) -> Iterator[str]:
    for key, least in (("trajectories", 1), ("heldout_tasks", 0), ("tuning_tasks", 0)):
        value = synth[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            yield f"synth.{key} is {value}; it is a whole number, from {least} on"


def _weights(place: str, node: Any, high: float) -> Iterator[str]:
    if node is None:
        return
    if not hasattr(node, "keys"):
        yield f"{place} is {node}; it is a map of names to numbers"
        return
    wrong = [key for key, value in node.items() if not _within(value, high)]
    for key in wrong:
        what = "a share, from 0 to 1" if high == 1 else "a number, from 0 on"
        yield f"{place}.{key} is {node[key]}; it is {what}"
    if high != 1 and not wrong and not any(node.values()):
        yield f"{place} are all 0; one of them must be above"


def _within(value: Any, high: float) -> bool:
    return (
        not isinstance(value, bool)
        and isinstance(value, (int, float))
        and 0 <= value <= high
        and value < math.inf
    )
