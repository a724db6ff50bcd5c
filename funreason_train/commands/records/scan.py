"""The runs of a folder, each read from its own record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...plain import is_number
from ...run.attempts import attempts
from ...run.files import read_json
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...settings.root import STAGE_NAMES
from .made import size_of

_DEEP = 2  # levels below the folder at which runs are looked for


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
        return cls(run, stages, "", _summary(run), len(goes), latest, outcome)

    @property
    def finished(self) -> bool:
        """Whether every stage that began is done."""
        return bool(self.stages) and all(one.get("state") == "done" for one in self.stages.values())

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return float(sum(one.get("seconds") or 0.0 for one in self.stages.values()))

    @property
    def scores(self) -> dict[str, float]:
        """Model -> accuracy on the held-out tasks, from the summary or the latest evaluation."""
        heldout = self.summary.get("heldout")
        if isinstance(heldout, Mapping) and heldout:
            return {
                name: float(heldout[name]) for name in ("base", "sft", "rl") if _is_share(heldout.get(name))
            }
        result = self.stages.get("eval", {}).get("result", {})
        models = result.get("models") if isinstance(result, Mapping) else None
        return {
            str(name): float(one["accuracy"])
            for name, one in (models if isinstance(models, Mapping) else {}).items()
            if isinstance(one, Mapping) and _is_share(one.get("accuracy"))
        }


def runs_in(folder: Path) -> Iterator[RunRecord]:
    """Every run in a folder and below it, by name; the folder itself may be one.

    Raises:
        UserError: if there is no such folder, or it cannot be read.
    """
    if not folder.is_dir():
        raise UserError("there is no such folder", where=str(folder), fix="Name one with folder=DIR")
    yield from map(RunRecord.of, _roots(folder, _DEEP))


def one_run(place: str) -> RunRecord:
    """The run in a folder.

    Raises:
        UserError: if there is none, or its manifest cannot be read.
    """
    root = Path(place).expanduser()
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


def _roots(folder: Path, deep: int) -> Iterator[Path]:
    if (folder / "manifest.json").is_file():
        yield folder
        return
    if deep == 0:
        return
    try:
        inner = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return
    for one in inner:
        yield from _roots(one, deep - 1)


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _summary(run: RunDir) -> Mapping[str, Any]:
    try:
        found = read_json(run.summary)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}
