"""Prompts to token ids, without encoding twice what conversations share."""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from typing import Any

_CHECKS = 8  # prompts that are encoded both ways before the short one is trusted


class PromptEncoder:
    """Encodes prompts message by message and remembers the messages.

    A tokenizer cuts a text at its special tokens before it does anything else, so the ids of a text are those
    of its parts, cut there. A conversation's next prompt then costs only what is new in it. Whether this
    holds for the tokenizer at hand is checked on the first prompts; if not, every prompt is encoded whole.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        marks = [
            token.content
            for token in getattr(tokenizer, "added_tokens_decoder", {}).values()
            if token.special and not token.lstrip and not token.normalized
        ]
        self._cut = re.compile("(?=" + "|".join(map(re.escape, marks)) + ")") if marks else None
        self._checks = _CHECKS
        self._remembered = lru_cache(maxsize=2048)(self._part)

    def __call__(self, text: str) -> list[int]:
        """The token ids of a prompt, nothing added."""
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
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _part(self, text: str) -> array[int]:
        return array("L", self._whole(text))
