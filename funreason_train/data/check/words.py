"""Texts as hashed words and n-grams: what near-duplicates and overlaps with benchmarks are found by.

Hashes depend on the text alone, so that they agree between processes, machines and versions of Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from ...dialogue import Trajectory, rendered_answers
from ...plain import last

Hashes = NDArray[np.uint64]

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # written without spaces: each character is a word
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_SPACED = {code: " " for code in range(128) if not chr(code).isalnum()}
_FACTOR = 0x9E3779B97F4A7C15  # odd, so that multiplying loses no bit


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def words(text: str) -> Hashes:
    """The hash of each word, in order; case, punctuation and spacing do not count.

    Args:
        text: Any text; `file_name` is two words.
    """
    text = text.lower()
    found = text.translate(_SPACED).split() if text.isascii() else _WORD.findall(text)
    return np.fromiter(map(_hash, found), np.uint64, len(found))


def ngrams(hashed: Hashes, size: int) -> Hashes:
    """The hash of each run of `size` words, in order.

    Args:
        hashed: Words, as `words` gives them.
        size: Words a run. Fewer words than that have no run.
    """
    count = len(hashed) - size + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    if size == 1:
        return hashed
    half = size // 2  # a run is two halves, and a word more where its size is odd
    halves = ngrams(hashed, half)
    runs = halves[: -half or None] * _power(half) + halves[half:]
    return runs if size == 2 * half else runs[:-1] * _power(1) + hashed[size - 1 :]


@lru_cache(maxsize=64)
def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(_FACTOR, exponent, 1 << 64))


def whole(hashed: Hashes) -> int:
    """One hash of all words in their order."""
    return int(ngrams(hashed, len(hashed))[0]) if len(hashed) else 0


@dataclass(frozen=True)
class Spoken:
    """The words of a conversation that make its task.

    Attributes:
        users: Of each user message.
        answers: Of each response's call list or text, without the thought.
        called: Of all call lists, one after the other.
    """

    users: list[Hashes]
    answers: list[Hashes]
    called: Hashes


@last
def spoken(trajectory: Trajectory) -> Spoken:
    """The words of a conversation."""
    steps = [step for turn in trajectory.turns for step in turn.steps]
    answers = [words(answer) for answer in rendered_answers(trajectory)]
    called = [hashed for step, hashed in zip(steps, answers, strict=True) if step.calls]
    users = [words(turn.user) for turn in trajectory.turns]
    return Spoken(users, answers, joined(called))


def joined(parts: list[Hashes]) -> Hashes:
    """Words of several texts in one array."""
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)
