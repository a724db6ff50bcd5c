"""The steps as LLaMA-Factory's sharegpt JSON; see `verl` for the parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from json.encoder import encode_basestring
from operator import is_
from pathlib import Path
from types import TracebackType

from ...calls.markers import THINK_OPEN
from ...dialogue import Message, Step, render_target
from ...dialogue.sharegpt import FROM, dataset_info
from ...run.files import write_json

#: The rows of one conversation: what stands between a row's id and its messages; the messages as JSON, which
#: every row shows a beginning of; and for each row its id, how many bytes of the messages, and its target.
SftBlock = tuple[bytes, bytes, list[tuple[bytes, int, bytes]]]


def sft_blocks(steps: Iterable[Step]) -> list[SftBlock]:
    """Steps as LLaMA-Factory reads them, for `SftWriter` to put together.

    A conversation's steps repeat its history: each text is encoded once, and sent between processes once.

    Args:
        steps: Their messages start with the system message and alternate from there.
    """
    blocks: list[SftBlock] = []
    system, shown = "", tuple[Message, ...]()
    said: list[bytes] = []
    ends: list[int] = [0]
    rows: list[tuple[bytes, int, bytes]] = []

    def close() -> None:
        if rows:
            opening = f', "system": {encode_basestring(system)}, "conversations": ['.encode()
            blocks.append((opening, b"".join(said), list(rows)))
        said.clear()
        rows.clear()
        ends[:] = [0]

    for step in steps:
        first, *history = step.messages
        continues = system == first["content"] and len(history) >= len(shown)
        if not (continues and all(map(is_, shown, history))):
            close()
            system, shown = str(first["content"]), ()
        for one in history[len(shown) :]:
            said.append(_message(FROM[one["role"]], one["content"]) + b", ")
            ends.append(ends[-1] + len(said[-1]))
        shown = (*shown, *history[len(shown) :])
        target = _message("gpt", THINK_OPEN + render_target(step.thought, step.answer))
        rows.append((encode_basestring(step.id).encode(), ends[len(shown)], target))
    close()
    return blocks


def _message(who: str, text: str) -> bytes:
    return f'{{"from": "{who}", "value": {encode_basestring(text)}}}'.encode()


class SftWriter:
    """Writes `sft/{train,val}.json`, one row a line inside one JSON list.

    Args:
        folder: `…/sft`.
        side: `train` or `val`.

    Attributes:
        digest: SHA-256 of what has been written.
    """

    def __init__(self, folder: Path, side: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{side}.json"
        self._before = b"[\n"  # what stands before the next row
        self.digest = hashlib.sha256()
        write_json(folder / "dataset_info.json", dataset_info())

    def __enter__(self) -> SftWriter:
        self._file = self._path.open("wb")
        return self

    def write(self, blocks: Iterable[SftBlock]) -> None:
        """Appends rows: `{"id", "system", "conversations"}`; the last message of each is its target."""
        for opening, said, rows in blocks:
            view = memoryview(said)
            parts: list[bytes | memoryview] = []
            for identity, end, target in rows:
                parts += (self._before, b'{"id": ', identity, opening, view[:end], target, b"]}")
                self._before = b",\n"
            self._append(b"".join(parts))

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)  # here, while the workers work, and not by reading gigabytes again

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._append(b"[\n]\n" if self._before == b"[\n" else b"\n]\n")
        self._file.close()
