"""Hints: what a critique may tell the reasoning agent, which is never the gold call."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...calls import Call, render_calls
from ..explore.trace import leaves
from .query import says

FALLBACK = (
    "The calls so far do not do what was asked. Read the request again and look up what you do not know."
)


def reveals(hint: str, gold: Iterable[Call]) -> bool:
    """Whether a hint holds a gold call: written out, or a tool's name together with all of its values."""
    bare = _bare(hint)
    for call in gold:
        if _bare(render_calls([call])[1:-1]) in bare or re.search(
            rf"(?<!\w){re.escape(call.name)}\s*\(", hint
        ):
            return True
        values = [value for _, value in leaves(call.arguments) if not isinstance(value, bool)]
        named = re.search(rf"(?<!\w){re.escape(call.name)}(?!\w)", hint) is not None
        if named and values and all(says(hint, value) for value in values):
            return True
    return False


def _bare(text: str) -> str:
    return re.sub(r"[\s\"'`]", "", text)
