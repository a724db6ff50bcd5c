"""Where a data set lies: a file, the files of a folder, or the hub."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ....errors import UserError

_TEXTS = (".json", ".jsonl", ".ndjson", ".jsonlines", ".csv", ".tsv")
_PACKED = (".gz", ".zst", ".bz2", ".xz")
_TABLES = (".parquet", ".pq", ".arrow", ".feather")

#: How the names of files end that are read.
SUFFIXES = (*_TEXTS, *(text + packed for text in _TEXTS for packed in _PACKED), *_TABLES)
_KINDS = f"Known kinds are {', '.join((*_TEXTS, *_TABLES))}; texts may be packed: {', '.join(_PACKED)}"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_ADDRESS = re.compile(r"(?:https?://(?:www\.)?huggingface\.co|hf:/)/datasets/([\w.-]+/[\w.-]+)")
#: What `datasets` writes beside its Arrow files, and which holds no row.
_BESIDE_ARROW = frozenset(("dataset_info.json", "dataset_dict.json", "state.json"))


def locate(path: str) -> list[Path] | None:
    """The local files that `path` stands for, or None if it is a hub id.

    Args:
        path: A file, a folder of files, or a hub id.

    Raises:
        UserError: if there is nothing there, or a folder holds no file of a known kind.
    """
    here = Path(path).expanduser()
    try:
        if here.is_dir():
            return _of_folder(here, path)
        if here.is_file():
            if not is_known(here):
                raise UserError("this kind of file is not read", where=path, fix=_KINDS)
            return [here]
        there = here.exists()
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be looked into
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the path cannot be looked at ({reason})", where=f"{path:.200}") from None
    if there:
        raise UserError("this is neither a file nor a folder", where=path, fix="Give a file or a folder")
    if _HUB_ID.fullmatch(path) and not path.endswith(SUFFIXES):
        return None
    fix = "Give a local file, a folder of files, or a hub id OWNER/NAME"
    if found := _HUB_ADDRESS.match(path):
        fix = f"A data set of the hub is given as path={found[1]}"
    elif "://" in path:
        fix = "Download it, and give the local file or folder"
    elif "*" in path or "?" in path:
        fix = "Patterns are not read: give the folder, or one file"
    raise UserError("there is no such file or folder", where=path, fix=fix)


def is_known(file: Path) -> bool:
    """Whether a file is of a kind that is read, by its name."""
    return file.name.lower().endswith(SUFFIXES)


def _of_folder(folder: Path, path: str) -> list[Path]:
    files = sorted(file for file in _below(folder) if is_known(file) and file.is_file())
    if any(file.suffix.lower() == ".arrow" for file in files):
        files = [file for file in files if file.name not in _BESIDE_ARROW]
    if not files:
        raise UserError("the folder holds no data file", where=path, fix=_KINDS)
    return files


def _below(folder: Path) -> Iterator[Path]:
    """Every file under a folder that is not hidden; links to folders are followed, each folder once."""
    seen = {folder.resolve()}
    for at, folders, files in os.walk(folder, followlinks=True):
        here = Path(at)
        yield from (here / one for one in files if one[0] != ".")
        visible = sorted(one for one in folders if one[0] != ".")
        folders.clear()
        for name in visible:
            if (real := (here / name).resolve()) not in seen:
                seen.add(real)
                folders.append(name)


def fingerprint(path: str) -> dict[str, str]:
    """SHA-256 of each file that `path` stands for; empty for a hub id.

    Raises:
        UserError: as `locate`, or a file may not be read.
    """
    digests = {}
    for file in locate(path) or []:
        try:
            with file.open("rb") as stream:
                digests[str(file)] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"the file cannot be read ({error.strerror})", where=str(file)) from None
    return digests
