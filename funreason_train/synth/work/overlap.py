"""How many conversations share wording with BFCL's questions; `data` rejects by a rule of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from ...environments.bfcl.documents import bfcl_folder

WORDS = 8
"""Words in a row, as in `data.decontaminate_ngram`."""


def overlapping(messages: Iterable[str]) -> int | None:
    """How many texts hold eight words in a row that stand in a question of BFCL.

    Args:
        messages: What the user says, one text a conversation.

    Returns:
        None where BFCL is not installed.
    """
    known = _questions()
    if known is None:
        return None
    return sum(not known.isdisjoint(_runs(text)) for text in messages)


def _runs(text: str) -> Iterator[int]:
    words = text.lower().split()
    return (hash(tuple(words[at : at + WORDS])) for at in range(len(words) - WORDS + 1))


@cache
def _questions() -> frozenset[int] | None:
    folder = bfcl_folder()
    if folder is None:
        return None
    found: set[int] = set()
    for path in sorted(folder.glob("BFCL_*.json")):
        try:
            rows = [
                json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
            ]
        except ValueError:  # not one of rows
            continue
        for text in _texts([row.get("question", []) for row in rows]):
            found.update(_runs(text))
    return frozenset(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield str(value.get("content", ""))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
