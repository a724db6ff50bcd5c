"""Each go of a command at a run: a folder of its own for its logs, and a record of how it went.

    RUN_DIR/logs/1/attempt.json  sft.log  rl.log  config.yaml  …
    RUN_DIR/logs/latest -> 3

An attempt begins with the first stage that really runs, so a command that finds everything done leaves none.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from .files import MISSHAPEN, read_json, write_json, write_text
from .paths import RunDir
from .secrets import clear_log, redacted

#: Of `attempt.json`.
FORMAT = 1
#: What an attempt is that never wrote how it ended, once nobody works in the run directory any more.
KILLED = "killed"


class Attempt:
    """One go of a command at a run; as a context it records how it ended. Needs the run directory's lock.

    The record is `{"format", "number", "command", "host", "pid", "started", "ended", "outcome", "stages"}`
    and what `note` added. Times are UTC in ISO 8601. The outcome is `running`, `done`, `failed`, `stopped`
    (saved, as it was asked to), `interrupted` or `killed`; an exception may name its own as `outcome`.
    `stages` maps each stage that ran to `{"started", "ended", "state", "log"}`, the log's path relative to
    the folder.

    Args:
        run: The run directory.
        command: The words of the command, without the program's name.
    """

    def __init__(self, run: RunDir, command: Sequence[str] = ()) -> None:
        self._run = run
        self._record: dict[str, Any] = {
            "format": FORMAT,
            "number": 0,
            "command": [redacted(word) for word in command],
            "host": platform.node(),
            "pid": os.getpid(),
            "started": None,
            "ended": None,
            "outcome": "running",
            "stages": {},
        }

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.number:
            with suppress(OSError):  # a full disk must not hide the error that ended the command
                self.note(ended=now(), outcome=_outcome(error))

    @property
    def number(self) -> int:
        """Its number; 0 before it has begun."""
        return int(self._record["number"])

    @property
    def folder(self) -> Path:
        """Where its logs are."""
        return self._run.logs / str(self.number)

    def begin(self, config: str = "") -> None:
        """Makes the folder and moves `latest` to it; nothing if it has begun.

        Args:
            config: The resolved configuration, kept beside the logs.
        """
        if self.number:
            return
        numbers = _numbers(self._run)
        _close_killed(self._run, numbers)
        self._record |= {"number": max(numbers, default=0) + 1, "started": now()}
        self.folder.mkdir(parents=True)
        if config:
            write_text(self.folder / "config.yaml", config)
        self.note()
        _point(self._run.logs, str(self.number))

    def stage_begins(self, stage: str) -> Path:
        """Notes that a stage starts; returns the path of its log: STAGE.log, later STAGE.2.log."""
        names = [f"{stage}.log", *(f"{stage}.{number}.log" for number in range(2, 10_000))]
        log = next(self.folder / name for name in names if not (self.folder / name).exists())
        self._record["stages"][stage] = {
            "started": now(),
            "ended": None,
            "state": "running",
            "log": log.name,
        }
        self.note()
        return log

    def stage_ends(self, stage: str, state: str) -> None:
        """Notes how it ended: `done`, `failed` or `stopped`."""
        self._record["stages"][stage] |= {"ended": now(), "state": state}
        self.note()

    def note(self, **values: Any) -> None:
        """Adds to the record, on disk before this returns."""
        self._record |= values
        write_json(self.folder / "attempt.json", self._record)


def attempts(run: RunDir) -> list[dict[str, Any]]:
    """The records of a run's attempts, oldest first; one that cannot be read is left out."""
    found = []
    for number in _numbers(run):
        with suppress(OSError, ValueError):
            record = read_json(run.logs / str(number) / "attempt.json")
            if isinstance(record, dict) and record.get("format") == FORMAT:
                stages = record.get("stages")
                whole = isinstance(stages, dict) and all(isinstance(one, dict) for one in stages.values())
                found.append(record if whole else {**record, "stages": {}})
    return found


def now() -> str:
    """The time in UTC, to the second, in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _numbers(run: RunDir) -> list[int]:
    try:
        names = [one.name for one in os.scandir(run.logs) if one.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def _close_killed(run: RunDir, numbers: Sequence[int]) -> None:
    """Whoever holds the lock is the only one at work: an attempt that still runs by its record was killed."""
    for number in numbers:
        path = run.logs / str(number) / "attempt.json"
        with suppress(OSError, *MISSHAPEN):  # what cannot be read is left as it is
            record = dict(read_json(path))
            if record.get("outcome") == "running":
                for log in path.parent.glob("*.log"):  # nobody was left to do so
                    clear_log(log)
                stages = {
                    name: {**stage, "state": KILLED} if stage.get("state") == "running" else stage
                    for name, stage in record.get("stages", {}).items()
                }
                write_json(path, {**record, "outcome": KILLED, "stages": stages})


def _point(folder: Path, target: str) -> None:
    """Moves the link `latest`, atomically; a file system without links does without."""
    temporary = folder / f".latest.{os.getpid()}"
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(folder / "latest")


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "done"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(getattr(error, "outcome", "failed"))
