"""Token counts that are remembered between runs: the same conversation is not counted twice.

The key of a count is a hash of everything that it follows from: what the conversation shows, the prompt
protocol, the tokenizer with its chat template, the versions of the libraries that encode, and the code that
renders. So nothing has to be cleared by hand, and the file may be deleted at any time.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from importlib.metadata import version
from os import environ
from pathlib import Path
from typing import Any

Lengths = list[tuple[int, int]]

_FILE = "lengths.sqlite"
_CODE = ("calls", "dialogue", "data/measure/lengths.py", "data/steps.py")  # what a rendered text follows from
_AT_ONCE = 500  # keys in one query; SQLite allows 999 in its oldest builds


def cache_folder(chosen: str | None) -> Path | None:
    """Where counts are kept.

    Args:
        chosen: A folder, `off`, or None for the user's cache folder.

    Returns:
        The folder; None for `off`.
    """
    if chosen == "off":
        return None
    if chosen is not None:
        return Path(chosen).expanduser()
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "funreason-train"


def fingerprint(tokenizer: Any, protocol: Mapping[str, Any]) -> bytes:
    """Hash of all that a count follows from, the conversation itself apart.

    Args:
        tokenizer: A loaded fast tokenizer.
        protocol: The node `protocol` of the configuration.
    """
    digest = blake2b(digest_size=16)
    versions = [version(package) for package in ("tokenizers", "transformers")]
    settings = [str(tokenizer.chat_template), sorted(tokenizer.special_tokens_map.items()), dict(protocol)]
    for part in (tokenizer.backend_tokenizer.to_str(), json.dumps([*settings, versions], default=str)):
        digest.update(blake2b(part.encode()).digest())
    package = Path(__file__).parents[2]
    for name in _CODE:
        place = package / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(blake2b(file.read_bytes()).digest())
    return digest.digest()


class LengthCache:
    """Counts under one fingerprint. A cache that cannot be read or written is done without, with a note.

    Args:
        folder: Where its file lies; None remembers nothing.
        fingerprint: See `fingerprint`.
    """

    def __init__(self, folder: Path | None, fingerprint: bytes) -> None:
        self._folder, self._fingerprint = folder, fingerprint

    def get(self, contents: Iterable[bytes]) -> dict[bytes, Lengths]:
        """The counts that are known.

        Args:
            contents: Hashes of conversations (`Kept.content`).
        """
        keys = {self._key(content): content for content in contents}
        found: dict[bytes, Lengths] = {}
        if self._folder is None or not (self._folder / _FILE).is_file():
            return found
        wanted = list(keys)
        try:
            with closing(self._open()) as base:
                for start in range(0, len(wanted), _AT_ONCE):
                    some = wanted[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(some))
                    query = f"SELECT key, counts FROM lengths WHERE key IN ({marks})"
                    found |= {keys[key]: _unpack(counts) for key, counts in base.execute(query, some)}
        except (OSError, sqlite3.Error, ValueError) as error:
            self._give_up(error)
        return found

    def put(self, counts: Mapping[bytes, Sequence[tuple[int, int]]]) -> None:
        """Remembers counts, all of them or, after an error, none."""
        if self._folder is None or not counts:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as base, base:
                base.execute(
                    "CREATE TABLE IF NOT EXISTS lengths (key BLOB PRIMARY KEY, counts BLOB) WITHOUT ROWID"
                )
                base.executemany("INSERT OR REPLACE INTO lengths VALUES (?, ?)", self._rows(counts))
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _rows(self, counts: Mapping[bytes, Sequence[tuple[int, int]]]) -> Iterator[tuple[bytes, bytes]]:
        for content, lengths in counts.items():
            yield self._key(content), array("q", [size for pair in lengths for size in pair]).tobytes()

    def _key(self, content: bytes) -> bytes:
        return blake2b(self._fingerprint + content, digest_size=16).digest()

    def _open(self) -> sqlite3.Connection:
        assert self._folder is not None
        return sqlite3.connect(self._folder / _FILE, timeout=60)  # another run may be writing

    def _give_up(self, error: Exception) -> None:
        print(
            f"Token counts are not remembered: {self._folder}: {error}. Set data.length_cache",
            file=sys.stderr,
        )
        self._folder = None


def _unpack(counts: bytes) -> Lengths:
    sizes = array("q")
    sizes.frombytes(counts)
    return list(zip(sizes[::2], sizes[1::2], strict=True))
