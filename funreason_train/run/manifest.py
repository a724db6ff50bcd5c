"""What each stage of a run read, made and measured: the record behind skip, resume and lineage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from .files import read_json, write_json
from .paths import RunDir

#: Of the file; it changes with every change of what the file holds.
FORMAT = 3
#: The one before: its records lack `origin`, and the oldest of them `restart` and `old`. It is read, and
#: written as the new one at the next change. Any other format is refused.
_BEFORE = 2


class Manifest:
    """The manifest of a run directory; every change is on disk before the method returns.

    The file holds

        {"format", "stages": {NAME: RECORD}, "restart": the latest request or null,
         "old": [{"stage", "moved_to", "record"}]: what restarts have set aside}

    and a RECORD is `{"state": running | stopped | failed | done, "fingerprint", "settings": {dotted key:
    value}, "inputs": {path: {"digest", "bytes"}}, "attempts", "versions", "origin", "seconds", "peak_bytes",
    "result"}`; the last three are there once the stage is done. `origin` is `{"attempt": the number of its
    latest one (`run.attempts`), "started": its time, "git": {"commit", "dirty", "diff"}, "lock": sha256 of
    the lock file, "template": sha256 of the model's chat template, "hardware", "parents": [{"run", "stage",
    "fingerprint"}]}` (`commands.execution.provenance`). Paths inside the run directory begin with
    `RUN_DIR/`.

    Raises:
        UserError: if the file was written in another format, or is no manifest.
    """

    def __init__(self, run: RunDir) -> None:
        self._path = run.manifest
        self._value: dict[str, Any] = {"format": FORMAT, "stages": {}, "restart": None, "old": []}
        if run.manifest.is_file():
            self._value = _read(run.manifest)

    def stage(self, name: str) -> dict[str, Any]:
        """The record of a stage, empty if it never ran."""
        return dict(self._value["stages"].get(name, {}))

    def update(self, name: str, **values: Any) -> None:
        """Merges `values` into the record of a stage."""
        self._value["stages"].setdefault(name, {}).update(values)
        self._write()

    @property
    def restart(self) -> dict[str, Any]:
        """The latest request to start stages afresh; empty if there was none."""
        return dict(self._value["restart"] or {})

    @restart.setter
    def restart(self, request: Mapping[str, Any]) -> None:
        self._value["restart"] = dict(request) or None
        self._write()

    @property
    def moved(self) -> list[str]:
        """Where the results lie that restarts have set aside."""
        return [str(one["moved_to"]) for one in self._value["old"] if one.get("moved_to")]

    def set_aside(self, moved: Mapping[str, str | None], request: Mapping[str, Any]) -> None:
        """Closes the records of stages whose results were moved, and notes the request, in one write.

        Args:
            moved: Stage to where its result lies now; None if there was none.
            request: The restart that asked for it; empty if none did.
        """
        for name, place in moved.items():
            record = self._value["stages"].pop(name, None)
            if record or place:
                self._value["old"].append({"stage": name, "moved_to": place, "record": record})
        if request:
            self._value["restart"] = dict(request)
        self._write()

    def _write(self) -> None:
        write_json(self._path, self._value)


def _read(path: Path) -> dict[str, Any]:
    """The file's contents, as of this format."""
    way_out = "Choose another run_dir=DIR, or continue this run with the version that started it"
    try:
        value = read_json(path)
        if not isinstance(value, dict):
            raise ValueError
    except ValueError:
        raise UserError("is not the manifest of a run", where=str(path), fix=way_out) from None
    found = value.get("format", value.get("version"))
    if found == _BEFORE:
        value = {"restart": None, "old": [], **value, "format": FORMAT}
    elif found != FORMAT:
        value = {}
    if not isinstance(value.get("stages"), dict):
        reads = f"{_BEFORE} and {FORMAT}"
        raise UserError(
            f"was written by another version of funreason-train (format {found}; this one reads {reads})",
            where=str(path),
            fix=way_out,
        )
    return value
