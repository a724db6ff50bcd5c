"""Whether a folder's tokenizer belongs to its weights: a token beyond the embeddings ends a run midway."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path


def tokenizer_problem(folder: Path, rows: int | None) -> str:
    """A sentence if the tokenizer has a token that the embeddings have no row for; else empty.

    Fewer tokens than rows are usual: models round their embeddings up.

    Args:
        folder: The model's.
        rows: Of its embeddings, as `config.json` says.
    """
    file = folder / "tokenizer.json"
    if rows is None or not file.is_file():
        return ""
    largest = _largest_id(file, file.stat().st_mtime_ns)
    if largest is None or largest < rows:
        return ""
    return (
        f"the tokenizer has a token number {largest:,} and the weights have rows for {rows:,} tokens only, "
        "so they do not belong together; copy the tokenizer of this very model"
    )


@lru_cache(maxsize=16)
def _largest_id(file: Path, _: int) -> int | None:
    """The largest id of a tokenizer, its added tokens among them; None if it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = found["model"]["vocab"]
        known = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        added = (token["id"] for token in found.get("added_tokens") or ())
        return max((int(number) for number in (*known, *added)), default=None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
