"""The tokens of a step as they were trained: `rollouts/STEP.npz`, beside the texts in `rollouts/STEP.jsonl`.

The columns of all kept responses stand one after the other. Per token they take four bytes of id, one of mask
and two of each log-probability and of the entropy, before compression. The file holds plain numbers and text
bytes; nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Column -> how it is stored. `rollout`, `old` and `new` are log-probabilities in nats: those of the rollout
#: engine, of the trained model before the update, and of the model after it.
COLUMNS: dict[str, Any] = {
    "ids": np.int32,
    "mask": np.uint8,
    "advantage": np.float32,
    "rollout": np.float16,
    "old": np.float16,
    "new": np.float16,
    "entropy": np.float16,
}


@dataclass
class Tokens:
    """One response's tokens.

    Attributes:
        pieces: The text of each token; parts of a character are shown as U+FFFD.
        columns: Name of `COLUMNS` to one value a token; a column that the step did not compute is missing.
    """

    pieces: list[str]
    columns: Mapping[str, Sequence[float]] = field(default_factory=dict)


def within(groups: Sequence[str], lengths: Sequence[int], most: int | None) -> list[int]:
    """Which responses' tokens are kept: whole groups in their order, as long as they fit.

    Args:
        groups: The group of each response.
        lengths: Its tokens.
        most: Tokens in all; None for no limit.

    Returns:
        The places of the responses. The first group that does not fit ends it, so what is kept does not lean
        towards short groups.
    """
    total: dict[str, int] = {}
    for group, length in zip(groups, lengths, strict=True):
        total[group] = total.get(group, 0) + length
    chosen, left = set(), most
    for group, tokens in total.items():
        if left is not None:
            if tokens > left:
                break
            left -= tokens
        chosen.add(group)
    return [place for place, group in enumerate(groups) if group in chosen]


def write(
    file: Path, lines: Sequence[int], columns: Mapping[str, Sequence[Any]], decode: Callable[[int], str]
) -> None:
    """Writes the tokens of some responses; the file appears whole or not at all.

    Args:
        file: `rollouts/STEP.npz`.
        lines: The line of each response in the `.jsonl`, from 0.
        columns: Name of `COLUMNS` to one sequence a response; `ids` has to be there.
        decode: The text of a token.
    """
    lengths = [len(row) for row in columns["ids"]]
    arrays: dict[str, Any] = {
        "lines": np.asarray(lines, np.int32),
        "starts": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    }
    for name, rows in columns.items():
        joined = np.concatenate([np.asarray(row) for row in rows]) if rows else np.empty(0)
        if np.issubdtype(COLUMNS[name], np.floating):  # beyond its range: its largest
            limits = np.finfo(COLUMNS[name])
            joined = np.clip(np.nan_to_num(joined.astype(np.float64)), limits.min, limits.max)
        arrays[name] = joined.astype(COLUMNS[name])
    vocabulary = {int(one): decode(int(one)) for one in np.unique(arrays["ids"])}
    text = json.dumps(vocabulary).encode()  # ASCII: half a character in a token's text stays an escape
    arrays["vocabulary"] = np.frombuffer(text, np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as written:
        np.savez_compressed(written, **arrays)
    temporary.replace(file)


def read(file: Path, lines: Iterable[int] | None = None) -> Iterator[tuple[int, Tokens]]:
    """Line of the `.jsonl` to the response's tokens.

    Args:
        file: What `write` wrote.
        lines: Only these.

    Raises:
        ValueError: if the file is not one of these, or is damaged.
    """
    import zipfile
    import zlib

    wanted = None if lines is None else set(lines)
    try:
        with np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        vocabulary = {int(key): text for key, text in json.loads(found["vocabulary"].tobytes()).items()}
        starts, places = found["starts"].tolist(), found["lines"].tolist()
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} does not hold the tokens of a step: {error}") from error
    names = [name for name in COLUMNS if name in found]
    for place, start, end in zip(places, starts, starts[1:], strict=False):
        if wanted is None or place in wanted:
            columns = {name: found[name][start:end].tolist() for name in names}
            yield place, Tokens([vocabulary.get(one, "\ufffd") for one in columns["ids"]], columns)
