"""What each stage of a run read, made and measured: the record behind skip, resume and lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..plain import is_finite
from .files import read_json, write_json
from .paths import RunDir

#: Of the file; it changes with every change of what the file holds.
FORMAT = 3
#: The one before: its records lack `origin`, and the oldest of them `restart` and `old`. It is read, and
#: written as the new one at the next change. Any other format is refused.
_BEFORE = 2
#: What each part of a stage's record is.
_SHAPE: Mapping[str, type | tuple[type, ...]] = {
    "state": str,
    "fingerprint": str,
    "settings": dict,
    "inputs": dict,
    "attempts": int,
    "versions": dict,
    "origin": dict,
    "seconds": (int, float),
    "peak_bytes": (int, float),
    "result": dict,
}


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


def of_a_result(value: Any) -> bool:
    """Whether the contents of a manifest.json are those that synth and data put into their results."""
    return isinstance(value, dict) and "outputs" in value and "stages" not in value


def no_run(where: str) -> UserError:
    """What is told of a folder that synth or data made where a run is needed."""
    return UserError(
        "holds what synth or data made, and not a run",
        where=where,
        fix="Name the folder that it was made in, or FOLDER.run beside it",
    )


def _read(path: Path) -> dict[str, Any]:
    """The file's contents, as of this format."""
    way_out = "Choose another run_dir=DIR, or continue this run with the version that started it"
    try:
        value = read_json(path)
        if not isinstance(value, dict):
            raise ValueError
    except ValueError:
        raise UserError("is not the manifest of a run", where=str(path), fix=way_out) from None
    if of_a_result(value):
        raise no_run(str(path.parent))
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
    value = {"restart": None, "old": [], **value}
    for part, wrong in _wrong(value):
        raise UserError(f"is damaged ({part} is {wrong!r:.60})", where=str(path), fix=way_out)
    return value


def _wrong(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parts of a manifest that are of another shape than the readers of it expect, with what they are."""
    if not isinstance(value["restart"], dict | None):
        yield "restart", value["restart"]
    old = value["old"]
    if not isinstance(old, list) or not all(isinstance(one, dict) for one in old):
        yield "old", old
    for name, record in value["stages"].items():
        if not isinstance(record, dict):
            yield f"stages.{name}", record
            continue
        for key, kinds in _SHAPE.items():
            if key in record and not _is_a(record[key], kinds):
                yield f"stages.{name}.{key}", record[key]
        yield from _wrong_inside(name, record)


def _wrong_inside(name: str, record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, entry in _dict(record.get("inputs")).items():
        if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
            yield f"stages.{name}.inputs.{path}", entry
    origin = _dict(record.get("origin"))
    for key in ("git", "hardware"):
        if not isinstance(origin.get(key), dict | None):
            yield f"stages.{name}.origin.{key}", origin[key]
    if not isinstance(_dict(origin.get("hardware")).get("gpus") or [], list):
        yield f"stages.{name}.origin.hardware.gpus", origin["hardware"]["gpus"]
    parents = origin.get("parents") or []
    if not isinstance(parents, list) or not all(
        isinstance(one, dict) and isinstance(one.get("run"), str) and isinstance(one.get("stage"), str)
        for one in parents
    ):
        yield f"stages.{name}.origin.parents", parents


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_a(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a kind; a number may be None, for what was not measured."""
    if kinds in (str, dict):
        return isinstance(value, kinds)
    return value is None or (isinstance(value, kinds) and is_finite(value))
