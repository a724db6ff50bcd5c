"""What the safetensors files of a folder hold, from their headers alone."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..run.files import MISSHAPEN, read_json

#: safetensors' names of the types (github.com/huggingface/safetensors, format section).
TYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
#: The names that transformers and peft give whole files; each may be an index of several files instead.
MODEL, ADAPTER = "model.safetensors", "adapter_model.safetensors"
#: What is said of a file that `git clone` without Git LFS has left.
POINTER = "is a pointer of Git LFS (fetch the file itself with `git lfs pull`)"


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
    if not index.is_file():
        names = [file.name for file in _files(folder, whole)] or [whole]
        return [text for name in names if (text := _defect(folder / name))]
    wanted: dict[str, list[str]] = {}
    try:
        for tensor, name in read_json(index)["weight_map"].items():
            wanted.setdefault(name, []).append(tensor)
        names = sorted(name for name in wanted if Path(name).name)
    except MISSHAPEN:
        return [f"{index.name} cannot be read"]
    return [text for name in names if (text := _defect(folder / name, wanted[name]))]


def is_pointer(file: Path) -> bool:
    """Whether a file is only a pointer of Git LFS to what should be there."""
    try:
        with file.open("rb") as opened:
            return opened.read(40).startswith(b"version https://git-lfs.github.com/")
    except OSError:
        return False


def _files(folder: Path, whole: str) -> list[Path]:
    """The safetensors files of a model, or of the adapter beside it."""
    adapter = whole == ADAPTER
    return [
        file
        for file in sorted(folder.glob("*.safetensors"))
        if file.name.startswith("adapter_") == adapter and file.is_file()
    ]


def _defect(path: Path, wanted: Iterable[str] = ()) -> str | None:
    """What is wrong with a file that is to hold some tensors."""
    if not path.is_file():
        return f"{path.name} is missing"
    if is_pointer(path):
        return f"{path.name} {POINTER}"
    try:
        there = _header(path).keys()
    except _CutOff:
        return f"{path.name} is cut off"
    except (ValueError, OSError):
        return f"{path.name} cannot be read"
    # Whoever loads such a model gives them random numbers, with a warning among many.
    lacking = [name for name in wanted if name not in there]
    return f"{path.name} lacks {len(lacking)} that its index names ({lacking[0]})" if lacking else None


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
            ends = [_end_of(entry) for name, entry in header.items() if name != "__metadata__"]
            end = max(ends, default=0)
        except _CutOff:
            raise
        except (struct.error, *MISSHAPEN) as error:
            raise ValueError(f"{file} is not a whole safetensors file") from error
    if 8 + length + end != size:
        raise _CutOff(f"{file} is {size} bytes long, its header says {8 + length + end}")
    return header


def _end_of(entry: Any) -> int:
    """Where a tensor's data end.

    Raises:
        ValueError: if the entry does not describe a tensor.
    """
    numbers = [*entry["shape"], *entry["data_offsets"]]
    if not isinstance(entry["dtype"], str) or any(type(one) is not int or one < 0 for one in numbers):
        raise ValueError(entry)
    return int(entry["data_offsets"][1])
