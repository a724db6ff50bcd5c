"""What tells files and settings apart: their contents, not their names' age."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: Weights above this size are told apart by samples, in bytes; everything else is read whole.
_LARGE = 64 << 20
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
#: Files beside a model that only people read: a card, a licence, a picture.
_FOR_PEOPLE = re.compile(
    r"(?:.*\.(?:md|rst|png|jpe?g|gif|svg|pdf)|(?:licen[cs]e|notice|authors|citation)(?:\..*)?)", re.I
)
_BLOCK, _BLOCKS = 64 << 10, 64  # of a sampled file: bytes at a time, and how often


def digest_file(path: Path) -> str:
    """The sha256 of a file.

    Of weights over 64 MiB it is that of their size and of 64 blocks spread over the file, its head and its
    end among them, marked `sampled:`. A copy has the same digest, and training changes every tensor.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _LARGE or path.suffix not in _WEIGHTS:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(str(size).encode())
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
    return f"sampled:{digest.hexdigest()}"


def for_people(path: str | Path) -> bool:
    """Whether a file of a model's folder decides nothing, since no program reads it."""
    return _FOR_PEOPLE.fullmatch(Path(path).name) is not None


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Path to digest for every file, folders read recursively; a missing path has the digest `missing`.

    Hidden files are left out.
    """
    found: dict[str, str] = {}
    for path in paths:
        if path.is_dir():
            files = (item for item in sorted(path.rglob("*")) if item.is_file())
            found |= {str(file): digest_file(file) for file in files if not file.name.startswith(".")}
        else:
            found[str(path)] = digest_file(path) if path.is_file() else "missing"
    return found


def fingerprint(settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """One hash over the settings and input digests that decide a result."""
    text = json.dumps({"settings": settings, "inputs": inputs}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
