"""What each stage of a run read, made and measured: the record behind skip, resume and lineage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .paths import RunDir, read_json, write_json

VERSION = 1
_WHOLE = 64 << 20  # bytes; larger files are identified by size and modification time


def digest_file(path: Path) -> str:
    """The sha256 of a file; for files over 64 MiB that of its size and modification time, marked `stat:`."""
    status = path.stat()
    if status.st_size > _WHOLE:
        return f"stat:{status.st_size}:{status.st_mtime_ns}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Path to digest for every file, folders read recursively; a missing path has the digest `missing`."""
    found: dict[str, str] = {}
    for path in paths:
        if path.is_dir():
            files = (item for item in sorted(path.rglob("*")) if item.is_file())
            found |= {str(file): digest_file(file) for file in files if not file.name.startswith(".")}
        else:
            found[str(path)] = digest_file(path) if path.is_file() else "missing"
    return found


def fingerprint(settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """One hash over the settings and input digests that decide a stage's result."""
    text = json.dumps({"settings": settings, "inputs": inputs}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Manifest:
    """The manifest of a run directory; every change is on disk before the method returns.

    The file holds `{"version", "stages": {NAME: {"state", "fingerprint", "settings", "inputs", "attempts",
    "seconds", "result", "versions"}}}`, with state `running`, `failed` or `done`.
    """

    def __init__(self, run: RunDir) -> None:
        self._path = run.manifest
        self._value: dict[str, Any] = {"version": VERSION, "stages": {}}
        if run.manifest.is_file():
            self._value = dict(read_json(run.manifest))

    def stage(self, name: str) -> dict[str, Any]:
        """The record of a stage, empty if it never ran."""
        return dict(self._value["stages"].get(name, {}))

    def update(self, name: str, **values: Any) -> None:
        """Merges `values` into the record of a stage."""
        self._value["stages"].setdefault(name, {}).update(values)
        write_json(self._path, self._value)

    def forget(self, name: str) -> None:
        """Drops the record of a stage that is to start afresh."""
        self._value["stages"].pop(name, None)
        write_json(self._path, self._value)


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every setting that differs, as `key: old -> new`."""
    lines: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += changed_settings(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {before!r} -> {after!r}")
    return lines
