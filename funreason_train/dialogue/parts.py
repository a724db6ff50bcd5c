"""Texts to token ids, without encoding twice what they share."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

_CHECKS = 8  # texts that are encoded both ways before the short one is trusted
_REMEMBERED = 2048  # parts


class PartEncoder:
    """Encodes texts message by message and remembers the messages.

    A tokenizer cuts a text at its special tokens before it does anything else, so the ids of a text are those
    of its parts, cut there. A conversation's next prompt then costs only what is new in it. Whether this
    holds for the tokenizer at hand is checked on the first texts; if not, every text is encoded whole.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        marks = _marks(getattr(tokenizer, "added_tokens_decoder", {}).values())
        self._cut = re.compile("(?=" + "|".join(map(re.escape, marks)) + ")") if marks else None
        self._checks = _CHECKS
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._part)

    def __call__(self, text: str) -> list[int]:
        """The token ids of a text, nothing added."""
        parts = self._cut.split(text) if self._cut is not None else [text]
        if len(parts) < 3:
            return self._whole(text)
        ids: list[int] = []
        for part in filter(None, parts):
            ids.extend(self._remembered(part))
        if self._checks:
            self._checks -= 1
            whole = self._whole(text)
            if whole != ids:
                self._cut = None
                return whole
        return ids

    def _whole(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _part(self, text: str) -> array[int]:
        return array("L", self._whole(text))


def _marks(added: Iterable[Any]) -> list[str]:
    """Special tokens before which a text may be cut, whatever stands there.

    Not those that take white space from their left, are looked for in a normalised text or only between
    words; nor one that can begin within another added token, which the cut would tear.
    """
    tokens = list(added)
    texts = [one.content for one in tokens]
    return [
        one.content
        for one in tokens
        if one.special
        and not (one.lstrip or one.normalized or one.single_word)
        and not any(_begins_within(one.content, other) for other in texts)
    ]


def _begins_within(text: str, other: str) -> bool:
    """Whether `text`, or as much of it as there is room for, stands in `other` behind its beginning."""
    return any(other.startswith(text, at) or text.startswith(other[at:]) for at in range(1, len(other)))
