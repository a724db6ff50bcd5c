"""What the tasks of a stored evaluation asked for: gold answers of rows, user turns of executable tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...run.files import MISSHAPEN, read_json, read_lines
from ...run.fingerprint import digest_file
from .scan import RunRecord


@dataclass(frozen=True)
class Asked:
    """What is known of an evaluation's tasks, by their ids.

    Attributes:
        truths: Ground truth of each row.
        turns: Number of user turns of each executable task.
        changed: Whether the rows are not those any more that the answers were scored with.
    """

    truths: Mapping[str, str] = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)
    changed: bool = False


def asked(record: RunRecord, folder: Path, scored: bool, known: dict[Path, Asked]) -> Asked:
    """The tasks that an evaluation was about.

    Args:
        record: Of the run; its latest evaluation tells where the tasks are if the scores do not.
        folder: Of the evaluation.
        scored: It was of rows that the reward scored, and not of executable tasks.
        known: Files that were read already.

    Raises:
        UserError: if rows cannot be read.
    """
    try:
        scores = dict(read_json(folder / "scores.json"))
    except (OSError, *MISSHAPEN):
        scores = {}
    settings = record.stages.get("eval", {}).get("settings", {})
    noted = str(settings.get("eval.path") or settings.get("eval.tasks") or "")
    places = [scores.get("task_file"), record.placed(noted)]
    if folder.name != "custom":  # a run that was moved has its tasks where it is now
        places.append(record.run.tasks("heldout"))
    files = [Path(str(place)) for place in places if place]
    files = [file for file in files if (file.suffix == ".parquet") == scored]
    there = [file for file in files if file.is_file()]
    if not there and not (scored and files):
        return Asked()
    digest = scores.get("tasks_sha256")
    file = next((one for one in there if digest in (None, digest_file(one))), None)
    if file is None and there:
        return Asked(changed=True)
    file = file or files[0]
    if file not in known:
        known[file] = Asked(truths=_gold(file)) if scored else Asked(turns=_turns(file))
    return known[file]


def _turns(file: Path) -> dict[str, int]:
    return {
        str(task.get("id")): len(task["turns"])
        for task in read_lines(file)
        if isinstance(task, dict) and isinstance(task.get("turns"), list)
    }


def _gold(file: Path) -> dict[str, str]:
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    try:
        there = parquet.read_schema(file).names
        columns = [name for name in ("reward_model", "extra_info") if name in there]
        table = parquet.read_table(file, columns=columns)
    except (OSError, ArrowException) as error:
        raise UserError(
            f"the rows of the evaluation cannot be read ({' '.join(str(error).split())[:200]})",
            where=str(file),
            fix="Put them back, or score only the rollouts again with of=[rollouts]",
        ) from None
    found = {}
    for number, row in enumerate(table.to_pylist()):
        name = _of(row.get("extra_info"), "id") or f"row {number}"
        if isinstance(truth := _of(row.get("reward_model"), "ground_truth"), str):
            found[str(name)] = truth
    return found


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
