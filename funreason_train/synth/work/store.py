"""Finished samples, in one SQLite file with a write-ahead log: what is committed survives any kill."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

#: In the order in which they are made; what measures is made last, apart from all before.
SPLITS = ("train", "tuning", "heldout")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
  split TEXT NOT NULL, number INTEGER NOT NULL, ok INTEGER NOT NULL, opening TEXT, calls TEXT, row TEXT,
  task TEXT, told TEXT NOT NULL, seen BLOB, PRIMARY KEY (split, number)
);
CREATE INDEX IF NOT EXISTS accepted ON samples (split, ok, number, opening, calls);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS = ("row", "task", "opening", "calls", "seen")
_BUSY = 60.0  # seconds to wait for another process's commit


class Store:
    """The samples of one job, each under its split and number; none can stand there twice.

    Args:
        path: The file, which is made.
        job: A fingerprint of what decides the samples. a file made with different settings is not touched.

    Attributes:
        ends: Split -> the number after its last sample that is written, as soon as it is known; what was made
            beyond it keeps nothing out of the later splits.

    Raises:
        ValueError: the file holds samples made with different settings.
    """

    def __init__(self, path: Path, job: str) -> None:
        self.path, self.ends = path, dict[str, int]()
        self._connection = sqlite3.connect(path, timeout=_BUSY)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)
        self._connection.commit()
        if self.note("job") not in (None, job):
            self._connection.close()
            raise ValueError(f"{path} holds samples made with different settings")
        self.keep("job", job)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def note(self, name: str) -> str | None:
        """What was kept under a name."""
        found = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def keep(self, name: str, value: str) -> None:
        """Keeps a value under a name."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def add(self, split: str, samples: Iterable[Mapping[str, Any]]) -> None:
        """Commits samples (see `Samples.make`); one that is there already stays as it is."""
        rows = []
        for one in samples:
            told = {key: value for key, value in one.items() if key not in _COLUMNS}
            rows.append(
                (
                    *(split, one["index"], int(one["ok"]), one.get("opening")),
                    *(one.get("calls"), one.get("row"), one.get("task"), json.dumps(told)),
                    _packed(one.get("seen")),
                )
            )
        with self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )

    def forget_faults(self, split: str) -> None:
        """Lets samples be made again that failed through an environment's own fault."""
        query = "DELETE FROM samples WHERE split = ? AND ok = 0 AND told LIKE '%environment/fault%'"
        with self._connection:
            self._connection.execute(query, (split,))

    def missing(self, split: str, numbers: range) -> list[int]:
        """Those of some numbers that are not there yet."""
        found = self._connection.execute(
            "SELECT number FROM samples WHERE split = ? AND number >= ? AND number < ?",
            (split, numbers.start, numbers.stop),
        )
        there = {number for (number,) in found}
        return [number for number in numbers if number not in there]

    def accepted(self, split: str) -> int:
        """How many samples of a split were accepted."""
        query = f"SELECT COUNT(*) FROM samples WHERE split = ? AND ok = 1{self._apart(split)}"
        return int(self._connection.execute(query, (split,)).fetchone()[0])

    def end(self, split: str, count: int) -> int | None:
        """The number after the one that makes `count` accepted samples; None if there are fewer."""
        query = f"SELECT number FROM samples WHERE split = ? AND ok = 1{self._apart(split)} ORDER BY number"
        found = self._connection.execute(f"{query} LIMIT 1 OFFSET ?", (split, count - 1)).fetchone()
        return found[0] + 1 if found else None

    def seen(self, split: str, numbers: range) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Environment and what its calls have shown (`explore.seen`), of every sample of some numbers."""
        query = (
            "SELECT seen FROM samples WHERE split = ? AND number >= ? AND number < ? AND seen IS NOT NULL"
            " ORDER BY number"
        )
        for (packed,) in self._connection.execute(query, (split, numbers.start, numbers.stop)):
            environment, seen = json.loads(zlib.decompress(packed))
            yield environment, seen

    def told(self, split: str, end: int) -> Iterator[dict[str, Any]]:
        """What is told of every sample of a split before a number, in order."""
        query = "SELECT told FROM samples WHERE split = ? AND number < ? ORDER BY number"
        for (text,) in self._connection.execute(query, (split, end)):
            yield json.loads(text)

    def lines(self, split: str, end: int, column: str) -> Iterator[str]:
        """`row` or `task` of every accepted sample of a split before a number, in order."""
        chosen = {"row": "row", "task": "task"}[column]
        query = f"SELECT {chosen} FROM samples WHERE split = ? AND ok = 1 AND number < ?{self._apart(split)}"
        for (text,) in self._connection.execute(f"{query} ORDER BY number", (split, end)):
            yield text

    def example(self, split: str, number: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Row and what is told of the first accepted sample from a number on."""
        query = (
            "SELECT row, told FROM samples WHERE split = ? AND ok = 1 AND number >= ? ORDER BY number LIMIT 1"
        )
        found = self._connection.execute(query, (split, number)).fetchone()
        return (json.loads(found[0]), json.loads(found[1])) if found else None

    def _apart(self, split: str) -> str:
        """Tasks that measure neither open like nor ask for the same calls as a training conversation.

        Those of one such split are apart from those of the other as well. What asks for no call is told apart
        by its opening alone.
        """
        before = " OR ".join(
            f"(split = '{one}' AND number < {self.ends.get(one, 2**62)})"
            for one in SPLITS[: SPLITS.index(split)]
        )
        return "".join(
            f" AND ({column} IS NULL OR {column} NOT IN"
            f" (SELECT {column} FROM samples WHERE ok = 1 AND {column} IS NOT NULL AND ({before})))"
            for column in ("opening", "calls")
            if before
        )


class Tally:
    """How many samples of a split are accepted, without counting all of them each time.

    Args:
        store: Of the samples.
        split: Whose samples.
        wanted: How many are to be accepted.

    Attributes:
        end: The number after the last one that counts; None while there are too few.
    """

    def __init__(self, store: Store, split: str, wanted: int) -> None:
        self._store, self._split, self._wanted = store, split, wanted
        self._most = 0
        self.end: int | None = None
        self.after(())

    def after(self, made: Iterable[Mapping[str, Any]]) -> int:
        """Takes in samples that were just added; returns how many are accepted by now, or somewhat more."""
        self._most += sum(bool(one["ok"]) for one in made)
        if self._most >= self._wanted or not made:  # some may be told apart from no other split's
            self._most = self._store.accepted(self._split)
            self.end = self._store.end(self._split, self._wanted)
        return self._most


def _packed(seen: Any) -> bytes | None:
    """What a sample's calls have shown, as little of the file as can be."""
    return zlib.compress(json.dumps(seen).encode(), 1) if seen else None
