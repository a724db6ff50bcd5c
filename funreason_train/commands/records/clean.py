"""What a run can do without: found first, shown, and removed once that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...rl import checkpoints
from ...run.manifest import Manifest
from .made import remove, size_of
from .scan import RunRecord

_ATTEMPT = re.compile(r"\d+")
_CHECKPOINT = {"sft": re.compile(r"checkpoint-(\d+)"), "rl": re.compile(r"global_step_(\d+)")}
_SET_ASIDE = re.compile(r"(synth|data|sft|rl|export|eval)\.\d+")


@dataclass(frozen=True)
class Spare:
    """A folder that can go.

    Attributes:
        path: Where it is.
        why: What it is.
        bytes: Its size.
    """

    path: Path
    why: str
    bytes: int


def spare(record: RunRecord, kinds: Sequence[str]) -> list[Spare]:
    """What of a run can go.

    Args:
        record: Of the run; of one whose manifest cannot be read, nothing can.
        kinds: `old`, `checkpoints`, `logs`.
    """
    if record.problem:
        return []
    found: list[tuple[Path, str]] = []
    if "old" in kinds:
        found += _set_aside(record)
    if "checkpoints" in kinds:
        found += _checkpoints(record)
    if "logs" in kinds:
        found += _logs(record)
    return [Spare(path, why, size_of(path)[0]) for path, why in found]


def clean(spares: Sequence[Spare]) -> tuple[int, list[Path]]:
    """Removes what was found; what this tool did not create stays.

    Returns:
        Bytes that were freed, and the files that stay.

    Raises:
        OSError: if something cannot be removed.
    """
    freed = 0
    kept: list[Path] = []
    for one in spares:
        more, stay = remove(one.path)
        freed, kept = freed + more, kept + stay
    return freed, kept


def _set_aside(record: RunRecord) -> Iterator[tuple[Path, str]]:
    """Results that restarts have moved to `old/`, as the manifest says: other folders there stay."""
    run = record.run
    moved = {Path(place).name for place in Manifest(run).moved}
    for folder in _folders(run.old, run.root):
        if _SET_ASIDE.fullmatch(folder.name) and folder.name in moved:
            yield folder, "set aside by a restart"


def _checkpoints(record: RunRecord) -> Iterator[tuple[Path, str]]:
    """All but the newest, and RL's best, of stages that are done; one that is not done may need any."""
    places = {"sft": record.run.sft / "checkpoints", "rl": record.run.rl_checkpoints}
    for stage, place in places.items():
        if record.stages.get(stage, {}).get("state") != "done":
            continue
        numbered = sorted(
            (int(match[1]), folder)
            for folder in _folders(place, record.run.root)
            if (match := _CHECKPOINT[stage].fullmatch(folder.name))
        )
        best = checkpoints.best(place) if stage == "rl" else None
        for step, folder in numbered[:-1]:
            if best is None or step != best.step:
                yield folder, f"an earlier checkpoint of {stage}, which is done"


def _logs(record: RunRecord) -> Iterator[tuple[Path, str]]:
    """The folders of all attempts but the latest."""
    numbered = sorted(
        (int(folder.name), folder)
        for folder in _folders(record.run.logs, record.run.root)
        if _ATTEMPT.fullmatch(folder.name) and (folder / "attempt.json").is_file()
    )
    for _, folder in numbered[:-1]:
        yield folder, "logs of an earlier attempt"


def _folders(place: Path, root: Path) -> list[Path]:
    """The folders in a place of the run; none where a link leads out of it, as to another run's."""
    try:
        if not place.resolve().is_relative_to(root.resolve()):
            return []
        return sorted(one for one in place.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return []
