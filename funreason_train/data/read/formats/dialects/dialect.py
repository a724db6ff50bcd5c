"""What the readers of other APIs' conversations share; each turns a row into OpenAI's form, key by key.

A module of a dialect has `speaks(row)`, which looks at a few keys, and `translated(row)`. What a dialect does
not know goes along under its own name, so that whoever reads the row names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .....dialogue.messages import Trajectory
from ...fields import blank
from ...json_text import opened
from ...rows import RowError

Translated = tuple[dict[str, Any], list[str]]
"""The row in OpenAI's form, and the flags for what is left out."""


def flagged(found: Trajectory, flags: Sequence[str]) -> Trajectory:
    """The conversation that a translated row holds, with the flags of the translation."""
    raised = [*found.meta.get("flags", ()), *flags]
    return replace(found, meta={**found.meta, "flags": raised}) if raised else found


def listed(row: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """The list under the first of these keys that holds anything, opened where it is JSON text."""
    value = next((row[key] for key in keys if not blank(row.get(key))), None)
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            return opened(value)
        except RowError:
            return None
    return value


def objects(value: Any, name: str) -> list[Mapping[str, Any]]:
    """A list of objects, also as JSON text.

    Raises:
        RowError: `row_shape`, or as `opened`.
    """
    found = opened(value) if isinstance(value, str) else value
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, Sequence) or not all(isinstance(one, Mapping) for one in found):
        raise RowError("row_shape", f"{name} is not a list of objects")
    return list(found)


def either(holder: Mapping[str, Any], first: str, second: str) -> Any:
    """What stands under one of two spellings of a key.

    Raises:
        RowError: `row_shape` if both have something, and it differs.
    """
    one, other = holder.get(first), holder.get(second)
    if not blank(one) and not blank(other) and one != other:
        raise RowError("row_shape", f"{first} and {second} differ")
    return other if one is None else one


def whole(reason: Any, ended: Sequence[str]) -> None:
    """Makes sure that an answer was not broken off.

    Args:
        reason: Why it ended, as the API says; None if it does not.
        ended: The words for an answer that came to its end.

    Raises:
        RowError: `cut_off`.
    """
    if not blank(reason) and reason not in ended:
        raise RowError("cut_off", f"a response ended with {reason!s:.40}")
