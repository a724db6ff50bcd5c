"""Which samples a pass holds, and how they lie in its line (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from ...models.attention.tree import Ints, Line, Rows, TreeRow, in_order, laid_out, shared


class Layout(NamedTuple):
    """Samples laid over one another.

    Attributes:
        line: The line; its learned tokens are those of the answers, one answer after the other.
        order: The samples in the order of their answers there.
        spots: For each learned token, where its log-probability belongs in the samples' own tokens, one
            sample after the other as they were given: the position before the token, as everywhere in verl.
    """

    line: Line
    order: list[int]
    spots: NDArray[numpy.int64]


def sample(prompt: Ints, answer: Ints) -> TreeRow:
    """A sample as a row of a tree, of which the answer is learned.

    Args:
        prompt: Its tokens; at least one.
        answer: Its tokens.
    """
    ids = numpy.concatenate([prompt, answer]).astype(numpy.int32)
    return TreeRow(ids, len(prompt), len(prompt))


def layout(samples: Sequence[TreeRow]) -> Layout:
    """Lays samples out in one line."""
    order = in_order(samples)
    starts = numpy.cumsum([0, *(len(one.ids) for one in samples)])
    spots = [
        starts[number] + numpy.arange(samples[number].learned - 1, len(samples[number].ids) - 1)
        for number in order
    ]
    return Layout(laid_out([samples[number] for number in order]), order, numpy.concatenate(spots))


def groups(samples: Sequence[TreeRow]) -> list[list[int]]:
    """The samples of each prompt, prompts in the order of their tokens: one that goes on behind another."""
    found: dict[bytes, list[int]] = {}
    for number, one in enumerate(samples):
        found.setdefault(_prompt(one).astype(">u4").tobytes(), []).append(number)
    return [found[prompt] for prompt in sorted(found)]


def packs(samples: Sequence[TreeRow], budget: int) -> list[list[int]]:
    """Divides samples into passes, keeping those of a prompt together.

    Args:
        samples: The samples.
        budget: Tokens a pass may have, each counted once; a single sample may exceed it.

    Returns:
        The numbers of the samples of each pass.
    """
    found: list[list[int]] = []
    used, last = 0, numpy.empty(0, numpy.int32)
    for group in groups(samples):
        prompt = _prompt(samples[group[0]])
        whole = Rows()
        for number in group:
            whole.add(samples[number])
        more = whole.size - shared(last, prompt)
        if found and used + more <= budget:
            found[-1] += group
            used += more
        else:
            pieces = list(_pieces(samples, group, budget))
            found += [piece for piece, _ in pieces]
            used = pieces[-1][1]
        last = prompt
    return found


def _prompt(one: TreeRow) -> Ints:
    return one.ids[: one.learned]


def _pieces(samples: Sequence[TreeRow], group: list[int], budget: int) -> Iterator[tuple[list[int], int]]:
    """One prompt's samples, cut where the budget ends, each piece with its size."""
    tree, piece = Rows(), list[int]()
    for number in group:
        if piece and tree.size + tree.more(samples[number]) > budget:
            yield piece, tree.size
            tree, piece = Rows(), []
        tree.add(samples[number])
        piece.append(number)
    yield piece, tree.size


def spread(passes: Sequence[list[int]], samples: Sequence[TreeRow], count: int) -> list[list[int]]:
    """As many passes as `count`, by cutting the largest: workers that share weights make equally many.

    Args:
        passes: At most `count`.
        samples: At least `count`.
        count: Passes wanted.

    Raises:
        ValueError: if there are fewer samples than that.
    """
    found = [list(one) for one in passes]
    if count > len(samples):
        raise ValueError(f"{len(samples)} samples do not make {count} passes")
    while len(found) < count:
        sizes = [sum(len(samples[number].ids) for number in one) if len(one) > 1 else -1 for one in found]
        at = sizes.index(max(sizes))
        where = _middle([samples[number] for number in found[at]])
        found[at : at + 1] = [found[at][:where], found[at][where:]]
    return found


def _middle(rows: Sequence[TreeRow]) -> int:
    """Where to cut: between two prompts if there are two, as near to the middle as can be."""
    before = numpy.cumsum([len(one.ids) for one in rows])

    def badness(at: int) -> tuple[bool, float]:
        same = numpy.array_equal(_prompt(rows[at - 1]), _prompt(rows[at]))
        return bool(same), abs(before[at - 1] - before[-1] / 2)

    return min(range(1, len(rows)), key=badness)
