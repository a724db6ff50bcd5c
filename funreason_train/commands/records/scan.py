"""The runs of a folder, each read from its own record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...plain import is_number
from ...run.attempts import attempts
from ...run.files import read_json
from ...run.manifest import Manifest, no_run, of_a_result
from ...run.paths import RunDir
from ...settings.root import STAGE_NAMES
from .made import size_of

#: What comes first where all of them are there.
_ORDER = ("base", "sft", "rl")
_DEEP = 2  # levels below the folder at which runs are looked for
_HERE = "RUN_DIR"  # what paths inside the run begin with


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run.

    Attributes:
        run: Its directory.
        stages: Stage -> record of the manifest, in the order of a run.
        problem: Why the manifest cannot be read; empty if it can.
        summary: `summary.json`; empty without one.
        attempts: How many goes there were, and the time of the latest.
        latest: Start of the latest attempt (UTC); empty without one.
        outcome: How it ended.
    """

    run: RunDir
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    latest: str = ""
    outcome: str = ""

    @classmethod
    def of(cls, root: Path) -> RunRecord:
        """The record of a run directory; a manifest of another version or cut in half is told, not raised."""
        run = RunDir.at(root)
        goes = attempts(run)
        last = goes[-1] if goes else {}
        latest, outcome = str(last.get("started") or ""), str(last.get("outcome") or "")
        try:
            manifest = Manifest(run)
        except (UserError, OSError) as error:
            what = error.what if isinstance(error, UserError) else f"cannot be read ({error.strerror})"
            return cls(run, {}, f"its manifest {what}", {}, len(goes), latest, outcome)
        found = {name: manifest.stage(name) for name in STAGE_NAMES}
        stages = {name: one for name, one in found.items() if one}
        return cls(run, stages, "", _object(run.summary), len(goes), latest, outcome)

    @property
    def finished(self) -> bool:
        """Whether every stage that began is done."""
        return bool(self.stages) and all(one.get("state") == "done" for one in self.stages.values())

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return float(sum(one.get("seconds") or 0.0 for one in self.stages.values()))

    def placed(self, noted: str) -> str:
        """A path as a stage noted it, where it is now: the run may have been moved."""
        return f"{self.run.root}{noted.removeprefix(_HERE)}" if noted.startswith(f"{_HERE}/") else noted

    @property
    def scores(self) -> dict[str, float]:
        """Model -> accuracy on the held-out tasks: the models' scores, or else the summary's.

        The manifest knows the latest evaluation alone, and the summary the latest pipeline.
        """
        files = {path.parent.name: path for path in sorted((self.run.root / "eval").glob("*/scores.json"))}
        names = [*(name for name in _ORDER if name in files), *(name for name in files if name not in _ORDER)]
        scores: dict[str, Any] = {name: _object(files[name]).get("accuracy") for name in names}
        heldout = self.summary.get("heldout")
        if not scores and isinstance(heldout, Mapping):
            scores = {name: heldout.get(name) for name in _ORDER}
        return {name: float(value) for name, value in scores.items() if _is_share(value)}


def runs_in(folder: Path, links: bool = False) -> Iterator[RunRecord]:
    """Every run in a folder and below it, by name, each once; the folder itself may be one.

    Args:
        folder: Where to look.
        links: Whether a link to a run counts, as to one on another disk.

    Raises:
        UserError: if there is no such folder, or it cannot be read.
    """
    if not folder.is_dir():
        raise UserError("there is no such folder", where=str(folder), fix="Name one with folder=DIR")
    roots = {os.path.realpath(root): None for root in _roots(folder, _DEEP, links)}
    yield from (RunRecord.of(Path(root)) for root in roots)


def one_run(place: str) -> RunRecord:
    """The run in a folder.

    Raises:
        UserError: if there is none, or its manifest cannot be read.
    """
    root = Path(place).expanduser()
    refuse_a_result(root, place)
    if not (root / "manifest.json").is_file():
        raise UserError("is not a run directory (there is no manifest.json)", where=place)
    found = RunRecord.of(root)
    if found.problem:
        raise UserError(
            found.problem,
            where=str(root),
            fix="Use the version that made it, or put back a copy of its manifest.json",
        )
    return found


def disk(record: RunRecord) -> tuple[int, int]:
    """Bytes and files of a run, results outside of its directory not counted."""
    return size_of(record.run.root)


def _roots(folder: Path, deep: int, links: bool) -> Iterator[Path]:
    if (folder / "manifest.json").is_file():
        if not _is_a_result(folder):
            yield folder
        return
    if deep == 0:
        return
    try:
        inner = sorted(one for one in folder.iterdir() if one.is_dir() and _may_look(one, links))
    except OSError:
        return
    for one in inner:
        yield from _roots(one, deep - 1, links)


def _may_look(folder: Path, links: bool) -> bool:
    """Whether a folder is looked into; what else than a run a link leads to may be endless."""
    return not folder.is_symlink() or (links and (folder / "manifest.json").is_file())


def _is_a_result(folder: Path) -> bool:
    """Whether a folder is what synth or data made, which has a manifest of its own, and no run."""
    try:
        return of_a_result(read_json(folder / "manifest.json"))
    except (OSError, ValueError):  # which is told of a run
        return False


def refuse_a_result(folder: Path, where: str) -> None:
    """Tells the folder of a run from the result of one that lies elsewhere (`out=DIR`).

    Raises:
        UserError: if it is what synth or data made.
    """
    if _is_a_result(folder):
        raise no_run(where)


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _object(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; empty where there is none that can be read."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}
