"""Whether a folder's tokenizer belongs to its weights: a token beyond the embeddings ends a run midway."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ..run.files import MISSHAPEN, read_json
from .weights import POINTER, is_pointer


def tokenizer_problem(folder: Path, rows: int | None) -> str:
    """A sentence if the tokenizer cannot be read or has a token that the embeddings have no row for.

    Fewer tokens than rows are usual: models round their embeddings up.

    Args:
        folder: The model's.
        rows: Of its embeddings, as `config.json` says.

    Returns:
        Empty if nothing speaks against it.
    """
    file, settings = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if settings.is_file() and read_object(settings) is None:
        return f"{settings.name} {unreadable(settings)}"
    if not file.is_file():
        return ""
    whole, largest = _largest_id(file, file.stat().st_mtime_ns)
    if not whole:
        return f"{file.name} {unreadable(file)}"
    if rows is None or largest is None or largest < rows:
        return ""
    return (
        f"the tokenizer has a token number {largest:,} and the weights have rows for {rows:,} tokens only, "
        "so they do not belong together; copy the tokenizer of this very model"
    )


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None if it cannot be read or holds something else."""
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def unreadable(file: Path) -> str:
    """What is said of a file that should hold a JSON object and does not."""
    return POINTER if is_pointer(file) else "cannot be read; copy it again from where the model came from"


@lru_cache(maxsize=16)
def _largest_id(file: Path, _: int) -> tuple[bool, int | None]:
    """Whether a tokenizer can be read, and its largest id, added tokens among them, if that can be told."""
    found = read_object(file)
    if found is None:
        return False, None
    try:
        vocabulary = found["model"]["vocab"]
        known = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        added = (token["id"] for token in found.get("added_tokens") or ())
        return True, max((int(number) for number in (*known, *added)), default=None)
    except MISSHAPEN:
        return True, None
