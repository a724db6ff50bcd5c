"""What each stage of a run read, made and measured: the record behind skip, resume and lineage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from .files import read_json, write_json
from .fingerprint import digest_file as digest_file  # until every module takes them from `fingerprint`
from .fingerprint import digests as digests
from .fingerprint import fingerprint as fingerprint
from .paths import RunDir

#: Of the file. A reader refuses any other, so it changes with every change of what the file holds.
FORMAT = 2


class Manifest:
    """The manifest of a run directory; every change is on disk before the method returns.

    The file holds `{"format", "stages": {NAME: {"state", "fingerprint", "settings", "inputs", "attempts",
    "seconds", "peak_bytes", "result", "versions"}}}`, with state `running`, `failed` or `done`.

    Raises:
        UserError: if the file was written in another format, or is no manifest.
    """

    def __init__(self, run: RunDir) -> None:
        self._path = run.manifest
        self._value: dict[str, Any] = {"format": FORMAT, "stages": {}}
        if run.manifest.is_file():
            self._value = _read(run.manifest)

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


def _read(path: Path) -> dict[str, Any]:
    """The file's contents, of this format."""
    way_out = "Choose another run_dir=DIR, or continue this run with the version that started it"
    try:
        value = dict(read_json(path))
    except (ValueError, TypeError):
        raise UserError("is not the manifest of a run", where=str(path), mend=way_out) from None
    found = value.get("format", value.get("version"))
    if found != FORMAT or not isinstance(value.get("stages"), dict):
        raise UserError(
            f"was written by another version of funreason-train (format {found}; this one reads {FORMAT})",
            where=str(path),
            mend=way_out,
        )
    return value


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
