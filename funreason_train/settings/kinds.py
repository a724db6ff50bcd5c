"""What kind of value a setting takes: the kind that the shipped configuration gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def misfit(key: str, shipped: Any, value: Any) -> str | None:
    """Why a value cannot be what a setting needs, as a sentence; None if its kind is right.

    Whether a number is in its range, or null has a meaning, is for the stage to say.

    Args:
        key: The setting.
        shipped: Its value before the user's word, plain or as OmegaConf holds it; null tells nothing.
        value: The user's.
    """
    if shipped is None or value is None:
        return None
    if isinstance(shipped, bool):
        fits, needed = isinstance(value, bool), "true or false"
    elif isinstance(shipped, int):
        fits, needed = type(value) is int, "a whole number"
    elif isinstance(shipped, float):
        fits, needed = type(value) in (int, float), "a number"
    elif isinstance(shipped, str):
        fits, needed = isinstance(value, (str, int, float)), "a word"
    elif isinstance(shipped, Mapping):
        fits, needed = isinstance(value, Mapping), "a node with keys of its own"
    elif isinstance(shipped, Sequence):
        fits, needed = isinstance(value, Sequence) and not isinstance(value, str), f"a list, {key}=[…],"
    else:
        return None
    return None if fits else f"{key}={value}: {needed} is needed"
