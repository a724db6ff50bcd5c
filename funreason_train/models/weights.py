"""What the safetensors files of a folder hold, from their headers alone."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: safetensors' names of the types (github.com/huggingface/safetensors, format section).
TYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
#: The names that transformers and peft give whole files; each may be an index of several files instead.
MODEL, ADAPTER = "model.safetensors", "adapter_model.safetensors"


@dataclass(frozen=True)
class Stored:
    """One tensor as a safetensors header describes it."""

    dtype: str
    shape: tuple[int, ...]
    file: Path


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor of the model in a folder by name; an adapter beside it is not part of it.

    Raises:
        ValueError: if a file is cut off or is not a safetensors file.
    """
    return tensors_of(_files(folder, MODEL))


def tensors_of(files: Iterable[Path]) -> dict[str, Stored]:
    """Every tensor of some files by name.

    Raises:
        ValueError: if a file is cut off or is not a safetensors file.
    """
    found: dict[str, Stored] = {}
    for file in files:
        for name, entry in _header(file).items():
            if name != "__metadata__":
                dtype = TYPES.get(entry["dtype"], entry["dtype"])
                found[name] = Stored(dtype, tuple(entry["shape"]), file)
    return found


def largest_weight(folder: Path) -> int | None:
    """The elements of the largest tensor, usually the embedding; None where there are no whole weights."""
    try:
        return max((math.prod(stored.shape) for stored in stored_tensors(folder).values()), default=None)
    except (OSError, ValueError):
        return None


def weight_defects(folder: Path, whole: str = MODEL) -> list[str]:
    """What is missing or cut off in a folder's weights: in the file `whole`, or in all that its index names.

    Args:
        folder: Of a model or an adapter.
        whole: MODEL or ADAPTER.
    """
    index = folder / f"{whole}.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            return [f"{index.name} cannot be read"]
    else:
        names = [file.name for file in _files(folder, whole)] or [whole]
    return [text for name in names if (text := _defect(folder / str(name)))]


def _files(folder: Path, whole: str) -> list[Path]:
    """The safetensors files of a model, or of the adapter beside it."""
    adapter = whole == ADAPTER
    return [
        file for file in sorted(folder.glob("*.safetensors")) if file.name.startswith("adapter_") == adapter
    ]


def _defect(path: Path) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    try:
        _header(path)
    except _CutOff:
        return f"{path.name} is cut off"
    except (ValueError, OSError):
        return f"{path.name} cannot be read"
    return None


class _CutOff(ValueError):
    """A file is shorter than its header says."""


def _header(file: Path) -> dict[str, Any]:
    """A file's header: 8 bytes of length, then JSON with the place of each tensor, then the data.

    Raises:
        ValueError: if the file is cut off or is not a safetensors file.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        try:
            length = struct.unpack("<Q", opened.read(8))[0]
            if length >= size:
                raise _CutOff(f"{file} is not a whole safetensors file")
            header: dict[str, Any] = json.loads(opened.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            end = max(ends, default=0)
        except _CutOff:
            raise
        except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{file} is not a whole safetensors file") from error
    if 8 + length + end != size:
        raise _CutOff(f"{file} is {size} bytes long, its header says {8 + length + end}")
    return header
