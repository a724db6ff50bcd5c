"""Which kinds of turn are asked for, how often, and whether they can be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Problem


def kind_shares(synth: Mapping[str, Any]) -> dict[str, float]:
    """Kind of turn -> how often.

    What is named is all there is, so that a recipe with shares of its own has no other kinds; zeros alone
    take kinds out of the usual ones.

    Args:
        synth: The section, as plain values.
    """
    given, usual = synth["kinds"], synth["usual_kinds"]
    named = {kind: float(share) for kind, share in given.items() if share is not None}
    if any(named.values()):
        return {kind: named.get(kind, 0.0) for kind in usual}
    return {kind: named.get(kind, float(share)) for kind, share in usual.items()}


def impossible(synth: Any) -> Iterator[Problem]:
    """Kinds of which none can be made; where others can, what is lost to one is counted.

    Args:
        synth: The section, checked by its model.
    """
    lacking = {}
    if len(synth.environments) < 2:
        lacking["no_tool"] = "two environments or more"
    if synth.turns < 2:
        lacking["correction"] = "two turns or more"
    asked = [kind for kind, share in kind_shares(synth).items() if share]
    if all(kind in lacking for kind in asked):
        told = " and ".join(f"{kind} needs {lacking[kind]}" for kind in asked)
        yield Problem(
            f"none of the kinds can be made: {told}", "synth.kinds", "Ask for another kind as well."
        )
