"""Signs of life: each process of a stage says, in a file of its own, what it does and how far it is.

The watchdog of a supervised run looks at the files. It compares what they say with what they said before and
not their times, so that the clocks of several machines need not agree. Files reach it from every node, since
the run directory is shared.

A process that has left a sign can also be asked for its stacks: by `SIGUSR2` on its own machine, which needs
no help from a process that hangs in C code, and by a file (`ASK`) from any other.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

#: Names the folder of the signs; unset when nobody watches.
VARIABLE = "FUNREASON_BEATS"
#: Appears in the folder when every process is to write its stacks.
ASK = "stacks.please"
#: What a process does that waits for work; it may do so for as long as it likes.
IDLE = "idle"
_INTERVAL = 0.5  # seconds between two written signs of the same kind
_LOOK = 1.0  # seconds between two looks for `ASK`


@dataclass(frozen=True)
class Beat:
    """A sign of life.

    Attributes:
        who: The process: `training.3`, `agent.10023`.
        pid: Of the process, on its machine.
        host: Its machine.
        phase: What it does: loading, step, save, reward, idle, …
        step: How far it is; -1 before the first step.
        count: Of the signs so far.
    """

    who: str
    pid: int
    host: str
    phase: str
    step: int
    count: int


class _Voice:
    """What this process has said."""

    def __init__(self) -> None:
        self.last: Beat | None = None
        self.at = float("-inf")
        self.stacks: IO[str] | None = None


_voice = _Voice()


def beat(who: str, phase: str, step: int = -1) -> None:
    """Says that this process has come as far as this; cheap enough for every step, silent if nobody watches.

    Args:
        who: This process, always the same.
        phase: What it begins to do now.
        step: How far it is.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    last, now = _voice.last, time.monotonic()
    if last and last.pid != os.getpid():  # a fork has its own voice
        _voice.last = last = None
    same = last is not None and (last.who, last.phase, last.step) == (who, phase, step)
    if same and now - _voice.at < _INTERVAL:
        return
    said = Beat(who, os.getpid(), os.uname().nodename, phase, step, last.count + 1 if last else 0)
    _voice.last, _voice.at = said, now
    with suppress(OSError):  # a full disk must not stop a training for the sake of its watchdog
        Path(folder).mkdir(parents=True, exist_ok=True)
        temporary = Path(folder) / f".{who}.{said.pid}"
        temporary.write_text(json.dumps(asdict(said)), encoding="utf-8")
        os.replace(temporary, Path(folder) / f"{who}.json")
        if last is None:
            _answer_for_stacks(Path(folder), who)


class Work:
    """Pieces of work that a process does side by side; it is idle while there are none.

    Args:
        role: Of the process; its machine and number are added.
    """

    def __init__(self, role: str) -> None:
        self.role, self.running, self.done = role, 0, 0

    def begins(self, phase: str) -> None:
        """A piece begins."""
        self.running += 1
        self.at(phase)

    def at(self, phase: str) -> None:
        """A piece has come this far; counted, so that the same phase of another piece is news."""
        self.done += 1
        beat(self.who, phase, self.done)

    @property
    def who(self) -> str:
        """This process, also where the object was made before it was forked."""
        return f"{self.role}.{os.uname().nodename}.{os.getpid()}"

    def ends(self, phase: str) -> None:
        """A piece has ended, well or not."""
        self.running -= 1
        self.done += 1
        beat(self.who, phase if self.running else IDLE, self.done)


def inherited() -> dict[str, str]:
    """What processes on other machines need to be told, to leave signs as well."""
    folder = os.environ.get(VARIABLE)
    return {VARIABLE: folder} if folder else {}


def _answer_for_stacks(folder: Path, who: str) -> None:
    """Makes this process write its stacks to `WHO.stack` when it is asked to."""
    _voice.stacks = file = (folder / f"{who}.stack").open("w", encoding="utf-8")
    faulthandler.register(signal.SIGUSR2, file, all_threads=True)

    def look() -> None:
        while not (folder / ASK).exists():
            time.sleep(_LOOK)
        if not file.tell() and not os.fstat(file.fileno()).st_size:
            faulthandler.dump_traceback(file, all_threads=True)

    threading.Thread(target=look, name="stacks", daemon=True).start()


def beats(folder: Path) -> dict[str, Beat]:
    """The latest sign of every process; a file that is being written is passed over."""
    found = {}
    for file in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            value: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            found[value["who"]] = Beat(**value)
    return found
