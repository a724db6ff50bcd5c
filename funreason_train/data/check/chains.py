"""Data that is already split per response: rows that are beginnings of others are absorbed.

A chain of such rows holds each response up to as many times as it has rows: once as the target, then in the
histories of all longer rows, with its thought or without it. Whatever the order of the rows and wherever they
stand, each distinct step has to be trained on once: the longest row stays, with its history; the thought of a
response is that of the row in which it is the target.

Each row carries the hashes of its beginnings, made one from the other, so that finding the chains takes time
and memory linear in the number of responses, without reading a row again.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dialogue import Trajectory
from ..spool import Kept, encode, read_spool
from .checks import content_digest

#: What `links` holds of each response.
LINK = np.dtype([("key", "<u8"), ("check", "<u8"), ("thought", "<u8")])
_ALONE = ("task", "demonstration")  # what must stay as it is: tasks are played from their first message


def links(trajectory: Trajectory) -> bytes:
    """For each response, a hash of all up to its answer, without thoughts, and one of its thought.

    The order of arguments says nothing: a history may be rendered in another one than the target.
    Tools that were inferred do not count: a longer row calls more of them. What follows the last response is
    never shown to a model, and does not count either.
    """
    if any(key in trajectory.meta for key in _ALONE):
        return b""
    inferred = "tools_inferred" in trajectory.meta.get("flags", ())
    start = (trajectory.system, None if inferred else list(trajectory.tools))
    said = blake2b(marshal.dumps(start, 2), digest_size=16)
    found = []
    for turn in trajectory.turns:
        said.update(marshal.dumps(turn.user, 2))
        for step in turn.steps:
            calls = [(call.name, _ordered(call.arguments)) for call in step.calls]
            said.update(marshal.dumps((calls, step.text), 2))
            thought = step.thought.strip().encode("utf-8", "surrogatepass")
            found += [said.digest(), blake2b(thought, digest_size=8).digest() if thought else bytes(8)]
            said.update(marshal.dumps(tuple(step.results), 2))
    return b"".join(found)


def _ordered(value: Any) -> Any:
    """A value whose keys are in the order of the alphabet."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(one) for one in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Chain:
    """A row, and those that are its beginnings.

    Attributes:
        whole: Number of the longest row.
        parts: Numbers of the others, by the response that each ends in.
        thoughts: Of these, those with a thought that the longest row lacks, or has in other words.
        history: Numbers of responses that no row has as its target, and that have no thought although the
            targets have one: they are history alone.
    """

    whole: int
    parts: Mapping[int, Sequence[int]]
    thoughts: Mapping[int, int]
    history: frozenset[int] = frozenset()


def chains(rows: Sequence[bytes], groups: Sequence[str]) -> list[Chain]:
    """Finds the chains.

    Args:
        rows: The `links` of each row.
        groups: The source of each row. Where one of its chains has no thoughts in its histories, no row of
            that source is taken to have them.

    Returns:
        Chains of two rows or more, in the order of their longest rows; and rows alone with `history`.
    """
    sizes = np.array([len(one) // LINK.itemsize for one in rows], np.int64)
    table = np.frombuffer(b"".join(rows), LINK)
    if not len(table):
        return []
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner = _longest(table, sizes)
    parts: dict[int, dict[int, list[int]]] = {}
    for row in np.flatnonzero(sizes):
        last = starts[row] + sizes[row] - 1
        whole = int(owner[last])
        if whole != row and _fits(table, starts, sizes, int(row), whole):
            parts.setdefault(whole, {}).setdefault(int(sizes[row]) - 1, []).append(int(row))
    found = {whole: _chain(table, starts, sizes, whole, mine) for whole, mine in parts.items()}
    bare = {
        groups[whole]
        for whole, one in found.items()
        if any(table["thought"][starts[whole] + place] == 0 for place in one.thoughts)
    }
    absorbed = {row for one in found.values() for mine in one.parts.values() for row in mine}
    return [
        one
        for row in range(len(rows))
        if sizes[row] and row not in absorbed
        for one in _with_history(
            table, starts, sizes, found.get(row, Chain(row, {}, {})), groups[row] in bare
        )
    ]


def _longest(table: NDArray[np.void], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each link, the longest row that has it; the first of equally long ones."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((row, -sizes[row], table["key"]))
    key = table["key"][order]
    first = np.concatenate([[True], key[1:] != key[:-1]])
    owner = np.empty(len(table), np.int64)
    owner[order] = row[order][first][np.cumsum(first) - 1]
    return owner


def _fits(
    table: NDArray[np.void], starts: NDArray[np.int64], sizes: NDArray[np.int64], row: int, whole: int
) -> bool:
    """Whether a row says nothing that the longer one does not: but for the thought of its own target."""
    size = int(sizes[row])
    one, other = (table[starts[n] : starts[n] + size] for n in (row, whole))
    if one["check"][-1] != other["check"][-1]:
        return False
    alike = (one["thought"] == other["thought"]) | (one["thought"] == 0)
    alike |= other["thought"] == 0
    own = size - 1 if sizes[whole] > size else size  # both end here: then the target's thought counts as well
    return bool(alike[:own].all())


def _chain(
    table: NDArray[np.void],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    whole: int,
    parts: dict[int, list[int]],
) -> Chain:
    """The chain, without rows that have the same target as another one but think otherwise."""
    thoughts: dict[int, int] = {}
    kept: dict[int, list[int]] = {}
    for place, rows in parts.items():
        own = {row: int(table["thought"][starts[row] + place]) for row in rows}
        known = int(table["thought"][starts[whole] + place])
        stated = [row for row in rows if own[row]]
        lender = next((row for row in stated if own[row] == known), stated[0] if stated else None)
        chosen = 0 if lender is None else own[lender]
        kept[place] = [row for row in rows if own[row] in (0, chosen)]
        if lender is not None and chosen != known:
            thoughts[place] = lender
    return Chain(whole, kept, thoughts)


def _with_history(
    table: NDArray[np.void], starts: NDArray[np.int64], sizes: NDArray[np.int64], one: Chain, bare: bool
) -> Iterator[Chain]:
    """The chain and its responses without a thought or a row of their own; nothing if there is neither."""
    thought = table["thought"][starts[one.whole] : starts[one.whole] + sizes[one.whole]]
    history: frozenset[int] = frozenset()
    if bare and thought[-1]:
        history = frozenset(int(n) for n in np.flatnonzero(thought[:-1] == 0) if int(n) not in one.parts)
    if one.parts or history:
        yield replace(one, history=history)


@dataclass(frozen=True)
class Rewrite:
    """Puts the thoughts of a chain's rows into the longest one; sent to the workers.

    Attributes:
        spool: The file that holds the conversations.
    """

    spool: Path

    def __call__(
        self, work: Sequence[tuple[Kept, Mapping[int, Kept], frozenset[int]]]
    ) -> list[tuple[bytes, bytes]]:
        """Takes rows, for each the rows that lend a response its thought, and the responses that are history.

        Returns:
            Each row as the spool holds it, and the hash of its content.
        """
        return [self._one(*each) for each in work]

    def _one(self, kept: Kept, lenders: Mapping[int, Kept], untrained: frozenset[int]) -> tuple[bytes, bytes]:
        own, *lending = read_spool(self.spool, [kept, *lenders.values()])
        thoughts = {
            place: [step for turn in other.turns for step in turn.steps][place].thought
            for place, other in zip(lenders, lending, strict=True)
        }
        places: list[str] = []
        number, turns = 0, []
        for turn_number, turn in enumerate(own.turns):
            steps = []
            for response, step in enumerate(turn.steps):
                if number in thoughts:
                    step = replace(step, thought=thoughts[number])
                if number in untrained:
                    places.append(f"{turn_number}.{response}")
                steps.append(step)
                number += 1
            turns.append(replace(turn, steps=tuple(steps)))
        meta = {key: value for key, value in own.meta.items() if key != "untrained"}
        made = replace(own, turns=tuple(turns), meta={**meta, "untrained": places} if places else meta)
        return encode(made), content_digest(made)
