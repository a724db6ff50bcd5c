"""Hints: what a critique may tell the reasoning agent, which is never the gold call nor a value of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...calls import Call, render_calls
from ..explore.trace import leaves
from .forms import gives_away
from .query import says, tells_flag

#: Said where a critique gives the answer away; the first that does not itself hold a value by chance.
FALLBACKS = (
    "The calls so far do not do what was asked. Go through it again and look up what you do not know.",
    "Compare each step with the wish, and leave nothing to chance.",
    "Think again.",
    "",
)


def fallback(gold: Sequence[Call]) -> str:
    """The hint that is given in place of one that gives a gold call away; empty if none will do."""
    return next(one for one in FALLBACKS if not one or not reveals(one, gold))


def reveals(hint: str, gold: Iterable[Call]) -> bool:
    """Whether a hint holds a gold call, a call of its tool, or one of its values in any form."""
    bare = _bare(hint)
    for call in gold:
        written = _bare(render_calls([call])[1:-1])
        if written in bare or re.search(rf"(?<!\w){re.escape(call.name)}\s*\(", hint):
            return True
        values = leaves(call.arguments)
        named = re.search(rf"(?<!\w){re.escape(call.name)}(?!\w)", hint) is not None
        if named and values and all(says(hint, value) for _, value in values):  # blanks and the like
            return True
        for path, value in values:
            name = next((one for one in reversed(path) if isinstance(one, str)), "")
            if gives_away(hint, value) or (isinstance(value, bool) and tells_flag(hint, name, value)):
                return True
    return False


def _bare(text: str) -> str:
    return re.sub(r"[\s\"'`]", "", text)
