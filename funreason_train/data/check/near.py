"""Near-duplicates: conversations whose questions and answers are almost word for word the same.

MinHash signatures (datasketch) are made where a row is converted; here they are banded (locality-sensitive
hashing) to find candidates, which are then compared exactly, so that no false pair costs a row. The bands are
columns of one table: datasketch's own index takes one conversation at a time, and far longer. Tools,
thoughts and tool results do not count: many rows offer the same tools, and it is the task that must not come
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dialogue import Trajectory
from .words import Hashes, joined, ngrams, spoken

_SHINGLE = 3  # words
_ROWS, _BANDS = (
    5,
    12,
)  # a pair that is 0.85 alike meets in a band with probability 0.999, one of 0.3 with 0.03
_PERMUTATIONS = _ROWS * _BANDS
_SLACK = 0.15  # below the threshold, in estimated likeness: three standard deviations of 60 permutations
_NEAREST = 24  # earlier rows of a band that a row is compared with: templates make bands of thousands
_EXACT = 6  # candidates of a row, best first, that are compared exactly
_HELD = 4096  # shingle sets in memory


def shingles(trajectory: Trajectory) -> Hashes:
    """The distinct three-word runs of a conversation's user messages, calls and replies, sorted."""
    return np.unique(_shingles(trajectory))


def _shingles(trajectory: Trajectory) -> Hashes:
    said = spoken(trajectory)
    hashed = joined(said.users + said.answers)
    return ngrams(hashed, min(_SHINGLE, max(1, len(hashed))))


@lru_cache(maxsize=1)
def _minhash() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=_PERMUTATIONS, hashfunc=int)  # the values are hashes already


def signature(trajectory: Trajectory) -> bytes:
    """The MinHash signature of `shingles`; empty for a conversation without a word."""
    found = _shingles(trajectory)  # a shingle that comes twice changes no minimum
    if not len(found):
        return b""
    minhash = _minhash()
    minhash.clear()
    minhash.update_batch((found >> np.uint64(32)).tolist())
    return bytes(minhash.hashvalues.astype("<u4").tobytes())


@dataclass(frozen=True)
class Pair:
    """Two conversations that are near-duplicates.

    Attributes:
        first: Number of the one read earlier.
        second: Number of the other.
        likeness: The share of their shingles that both have (Jaccard).
    """

    first: int
    second: int
    likeness: float


def near_pairs(
    signatures: Sequence[bytes],
    read: Callable[[int], Trajectory],
    threshold: float,
    drop: bool = False,
    apart: Callable[[int, int], bool] | None = None,
) -> Iterator[Pair]:
    """Finds near-duplicates; at most one pair for each conversation, with one before it.

    Args:
        signatures: One a conversation, as `signature` makes them; empty ones pair with nothing.
        read: Gives the conversation of a number.
        threshold: Least likeness of a pair.
        drop: Whether the second of each pair is dropped, so that no other needs to differ from it.
        apart: Tells of two numbers that they are no pair, however alike.

    Yields:
        Pairs, in the order of `second`.
    """
    numbers = np.array([number for number, one in enumerate(signatures) if one], np.int64)
    if len(numbers) < 2:
        return
    table = np.frombuffer(b"".join(signatures[number] for number in numbers), "<u4").reshape(len(numbers), -1)
    first, second, alike = _candidates(table, threshold)
    dropped: set[int] = set()

    @lru_cache(maxsize=_HELD)
    def held(number: int) -> Hashes:
        return shingles(read(number))

    if not len(second):
        return
    starts = np.flatnonzero(np.r_[True, second[1:] != second[:-1]])
    for at, end in pairwise([*starts, len(second)]):
        two = int(numbers[second[at]])
        ones = [int(numbers[one]) for one in first[at:end][np.argsort(-alike[at:end], kind="stable")]]
        for one in [one for one in ones if one not in dropped][:_EXACT]:
            if apart is not None and apart(one, two):
                continue
            likeness = _jaccard(held(one), held(two))
            if likeness >= threshold:
                if drop:
                    dropped.add(two)
                yield Pair(one, two, likeness)
                break


def _candidates(
    table: NDArray[np.uint32], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs that share a band and look alike enough, by the second one's number, and their likeness."""
    count = len(table)
    codes = []
    for band in range(_BANDS):
        keys = table[:, band * _ROWS : (band + 1) * _ROWS]
        mixed = ngrams(keys.astype(np.uint64).ravel(), _ROWS)[::_ROWS]
        order = np.argsort(mixed, kind="stable")  # rows of one band stand together, in the order read
        ordered = mixed[order]
        for back in range(1, min(_NEAREST, count - 1) + 1):
            same = np.flatnonzero(ordered[back:] == ordered[:-back])
            if not len(same):
                break
            codes.append(order[same] + order[same + back] * count)
    if not codes:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, np.empty(0, np.float64)
    pairs = np.unique(np.concatenate(codes))
    first, second = pairs % count, pairs // count
    alike = np.empty(len(pairs), np.float64)
    for start in range(0, len(pairs), 1 << 16):
        some = slice(start, start + (1 << 16))
        alike[some] = (table[first[some]] == table[second[some]]).mean(axis=1)
    chosen = alike >= threshold - _SLACK
    return first[chosen], second[chosen], alike[chosen]


def _jaccard(one: Hashes, two: Hashes) -> float:
    common = len(np.intersect1d(one, two, assume_unique=True))
    return common / (len(one) + len(two) - common)


def joined_keys(keys: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    """Keys under which near-duplicates, and all that share a key with them, have one key.

    Args:
        keys: One a conversation.
        pairs: Near-duplicates among them.

    Returns:
        One key a conversation; the smallest of those that come together.
    """
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    for pair in pairs:
        low, high = sorted((root(keys[pair.first]), root(keys[pair.second])))
        parent[high] = low
    return [root(key) for key in keys]
