"""The reward's options: what they are, and whether given ones can be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from funreason_train.calls.match import STRING_RULES

VARIANTS = ("binary", "partial", "bfcl", "progress", "all_turns")
EPISODE_VARIANTS = ("progress", "all_turns")
"""Those that score whole tasks played in environments."""


@dataclass(frozen=True, eq=False)
class RewardOptions:
    """How answers are scored; the defaults stand in `configs/reward/`.

    Attributes:
        variant: `binary`: 1 for the right calls in the right form, else 0. `partial`: in between for right
            names, argument names and values, less for every surplus call. `bfcl`: binary with BFCL's string
            rule and, where the gold has them, its lists of accepted values. `progress`: an episode's share
            of user turns that were done, given their outcomes; binary for a row that is not an episode.
            `all_turns`: 1 for an episode in which every user turn was done, else 0; likewise for other rows.
        ordered: Whether the order of the calls matters.
        strings: `exact` or `bfcl` (see `match_calls`); the variant `bfcl` implies the latter.
        require_thought: Whether an empty thought is a fault of form.
        max_chars: A longer completion scores 0; None for no limit.
        soft_chars: From here to `max_chars` the score falls linearly, to 1 - `soft_weight` of itself.
        soft_weight: 0 (no length penalty) to 1.
    """

    variant: str = "binary"
    ordered: bool = False
    strings: str = "exact"
    require_thought: bool = False
    max_chars: int | None = None
    soft_chars: int | None = None
    soft_weight: float = 0.0


# What verl may pass besides the configured options.
_FRAMEWORK_KEYS = ("reward_router_address", "reward_model_tokenizer")


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Every mistake in the options of `compute_score`, as sentences; empty if they can be used."""
    known = RewardOptions.__dataclass_fields__
    problems = [
        f"there is no reward option {key!r}; there are {', '.join(known)}"
        for key in options
        if key not in known and key not in _FRAMEWORK_KEYS
    ]
    chosen = _chosen(options)
    if not isinstance(chosen.variant, str) or chosen.variant not in VARIANTS:
        problems.append(f"there is no reward variant {chosen.variant!r}; there are {', '.join(VARIANTS)}")
    if not isinstance(chosen.strings, str) or chosen.strings not in STRING_RULES:
        problems.append(f"there is no string rule {chosen.strings!r}; there are {', '.join(STRING_RULES)}")
    for name in ("ordered", "require_thought"):
        if not isinstance(getattr(chosen, name), bool):
            problems.append(f"the reward option {name} must be true or false")
    return problems + _length_problems(chosen)


def _chosen(options: Mapping[str, Any]) -> RewardOptions:
    known = RewardOptions.__dataclass_fields__
    return RewardOptions(**{key: value for key, value in options.items() if key in known})


def read_options(options: Mapping[str, Any]) -> RewardOptions | None:
    """The options, checked; None if they cannot be used. The same object for the same options."""
    try:
        return _checked(**options)
    except Exception:  # a value that cannot be hashed
        return None if check_options(options) else _chosen(options)


@lru_cache(maxsize=64, typed=True)  # True and 1 are equal, and only one of them is an option's value
def _checked(**options: Any) -> RewardOptions | None:
    return None if check_options(options) else _chosen(options)


def _length_problems(chosen: RewardOptions) -> list[str]:
    limits = (chosen.max_chars, chosen.soft_chars)
    if any(limit is not None and (type(limit) is not int or limit <= 0) for limit in limits):
        return ["max_chars and soft_chars must be whole numbers above 0, or null"]
    if type(chosen.soft_weight) not in (int, float) or not 0 <= chosen.soft_weight <= 1:
        return ["soft_weight must be a number from 0 to 1"]
    if chosen.soft_weight and (not chosen.max_chars or not chosen.soft_chars):
        return ["a soft length penalty (soft_weight > 0) needs both soft_chars and max_chars"]
    if chosen.soft_chars and chosen.max_chars and chosen.soft_chars >= chosen.max_chars:
        return ["soft_chars must be smaller than max_chars"]
    return []
