"""Rows that overlap with BFCL: its questions, the initial states of its environments, its gold traces.

The benchmark is what `bfcl-eval` ships: JSON files, read from the installed package without importing it.
Overlap is the share of a benchmark entry's distinct n-grams that a conversation holds; a question that is too
short for one n-gram counts when a user message is that very question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dialogue import Trajectory
from ...errors import UserError
from .words import Hashes, joined, ngrams, spoken, whole, words

_SIEVE = np.uint64((1 << 21) - 1)  # the bits of an n-gram that tell most of those apart which no entry holds
_SHORTEST = 5  # words: shorter questions, such as "How are you?", are everybody's
_STATES = (
    "initial_config",
    "initial_state",
    "task",
)  # keys of `Trajectory.meta` that hold an environment's state


@dataclass(frozen=True)
class Index:
    """The n-grams of one kind of text in the benchmark.

    Attributes:
        kind: `question`, `initial state` or `gold trace`.
        hashes: Distinct n-grams, sorted.
        starts: Where each one's entries begin in `entries`; one more than there are n-grams.
        entries: Numbers of the entries that hold an n-gram.
        sizes: Distinct n-grams of each entry.
        names: What each entry is called.
        sieve: Whether some n-gram has these low bits; asked first, which is far quicker than searching.
    """

    kind: str
    hashes: Hashes
    starts: NDArray[np.int64]
    entries: NDArray[np.int64]
    sizes: NDArray[np.int64]
    names: tuple[str, ...]
    sieve: NDArray[np.bool_]

    @classmethod
    def of(cls, kind: str, texts: Iterable[tuple[str, str]], size: int) -> Index:
        """Indexes named texts; equal ones count once, under the first name.

        Args:
            kind: What they are.
            texts: (name, text); those shorter than one n-gram are left out.
            size: Words an n-gram.
        """
        seen: set[bytes] = set()
        names: list[str] = []
        grams: list[Hashes] = []
        pairs = [(name, words(text)) for name, text in texts]
        for number, found in _distinct([said for _, said in pairs], size):
            if (key := found.tobytes()) not in seen:
                seen.add(key)
                names.append(pairs[number][0])
                grams.append(found)
        sizes = np.array([len(one) for one in grams], np.int64)
        together = np.concatenate(grams) if grams else np.empty(0, np.uint64)
        owners = np.repeat(np.arange(len(grams)), sizes)
        order = np.argsort(together, kind="stable")
        hashes, starts = np.unique(together[order], return_index=True)
        sieve = np.zeros(int(_SIEVE) + 1, np.bool_)
        sieve[hashes & _SIEVE] = True
        return cls(kind, hashes, np.r_[starts, len(order)], owners[order], sizes, tuple(names), sieve)

    def overlap(self, found: Hashes) -> tuple[str, float] | None:
        """The entry that a text holds the largest share of, and that share; None if it shares no n-gram.

        Args:
            found: The n-grams of the text.
        """
        found = found[self.sieve[found & _SIEVE]]
        if not len(found):
            return None
        places = np.searchsorted(self.hashes, found)
        places[places == len(self.hashes)] = 0
        hits = np.unique(places[self.hashes[places] == found])
        if not len(hits):
            return None
        owners = np.concatenate([self.entries[self.starts[hit] : self.starts[hit + 1]] for hit in hits])
        shares = np.bincount(owners, minlength=len(self.sizes)) / self.sizes
        best = int(shares.argmax())
        return self.names[best], float(shares[best])


def _distinct(texts: Sequence[Hashes], size: int) -> Iterator[tuple[int, Hashes]]:
    """Number and sorted distinct n-grams of each text that has any; all at once, since texts are short."""
    owners = np.repeat(np.arange(len(texts)), [len(one) for one in texts])
    runs = ngrams(joined(list(texts)), size)
    inside = owners[: len(runs)] == owners[size - 1 :]  # a run that begins and ends in one text
    runs, owners = runs[inside], owners[: len(runs)][inside]
    if not len(runs):
        return
    order = np.lexsort((runs, owners))
    runs, owners = runs[order], owners[order]
    first = np.r_[True, (runs[1:] != runs[:-1]) | (owners[1:] != owners[:-1])][: len(runs)]
    runs, owners = runs[first], owners[first]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]][: len(owners)])
    yield from zip(owners[starts].tolist(), np.split(runs, starts[1:]), strict=True)


@dataclass(frozen=True)
class Benchmark:
    """What a training conversation is compared with.

    Attributes:
        size: Words an n-gram.
        questions: User messages.
        states: Initial states of the environments.
        traces: Gold calls of each entry.
        short: Hash of each question that is shorter than an n-gram -> its name.
    """

    size: int
    questions: Index
    states: Index
    traces: Index
    short: Mapping[int, str]

    @classmethod
    def read(cls, folder: Path, size: int) -> Benchmark:
        """Reads BFCL's data folder.

        Args:
            folder: `…/bfcl_eval/data`.
            size: Words an n-gram.

        Raises:
            UserError: the folder holds no questions.
        """
        entries = list(_rows(folder.glob("BFCL_v*.json")))
        earlier = _rows(folder.glob("memory_prereq_conversation/*.json"))
        questions = [pair for row in chain(entries, earlier) for pair in _questions(row)]
        if not questions:
            raise UserError(
                "BFCL's data files hold no questions",
                where=str(folder),
                fix="Install bfcl-eval again, or set data.decontaminate=off",
            )
        short: dict[int, str] = {}
        for name, text in questions:
            hashed = words(text)
            if _SHORTEST <= len(hashed) < size:
                short.setdefault(whole(hashed), name)
        states = (pair for row in entries for pair in _states(row, size))
        traces = (
            (str(row["id"]), _trace(row["ground_truth"]))
            for row in _rows(folder.glob("possible_answer/BFCL_v*.json"))
            if isinstance(row.get("ground_truth"), list)
        )
        return cls(
            size,
            Index.of("question", questions, size),
            Index.of("initial state", states, size),
            Index.of("gold trace", traces, size),
            short,
        )

    def overlap(self, trajectory: Trajectory, share: float) -> str | None:
        """What a conversation overlaps with, as a sentence; None if it does not.

        Args:
            trajectory: The conversation.
            share: Of an entry's n-grams, how many make an overlap.
        """
        said = spoken(trajectory)
        for hashed in said.users:
            if _SHORTEST <= len(hashed) < self.size and (name := self.short.get(whole(hashed))):
                return f"a user message is the question of BFCL {name}"
        world = [trajectory.system or ""]
        world += (result for turn in trajectory.turns for step in turn.steps for result in step.results)
        world += (_plain(trajectory.meta[key]) for key in _STATES if key in trajectory.meta)
        for index, hashed in (
            (self.questions, joined(said.users)),
            (self.traces, said.called),
            (self.states, words("\n".join(world))),
        ):
            found = index.overlap(ngrams(hashed, self.size))
            if found is not None and found[1] >= share:
                return f"{found[1]:.0%} of the {self.size}-grams of the {index.kind} of BFCL {found[0]}"
        return None


def _rows(files: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    """The objects of JSON-lines files, sorted by name; other lines are not entries."""
    for file in sorted(files):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    break  # format_sensitivity is one JSON object: ids of other entries
                if isinstance(row, Mapping) and "id" in row:
                    yield row


def _questions(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for turn in row.get("question", ()):
        for message in turn:
            if message["role"] == "user":
                yield str(row["id"]), message["content"]


def _states(row: Mapping[str, Any], size: int) -> Iterator[tuple[str, str]]:
    """Each environment's initial state as a whole, and each long text in it, which a tool may quote."""
    for name, state in (row.get("initial_config") or {}).items():
        yield f"{row['id']} ({name})", _plain(state)
        yield from ((f"{row['id']} ({name})", text) for text in _texts(state) if text.count(" ") >= size - 1)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _trace(value: Any) -> str:
    """Gold calls as text: written out, or for single-turn ones the first choice of each argument."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(_trace, value))
    if not isinstance(value, Mapping):
        return str(value)
    calls = []
    for name, arguments in value.items():
        chosen = arguments.items() if isinstance(arguments, Mapping) else ()
        said = [
            f"{key}={choices[0] if isinstance(choices, list) and choices else choices}"
            for key, choices in chosen
            if choices != [""]
        ]
        calls.append(f"{name}({', '.join(said)})")
    return "\n".join(calls)
