"""Several engines side by side: processes that each play a share of the tasks.

On GPUs a replica is one engine on its own devices. On a CPU it is one core: a tiny model's kernels are too
small for two threads, while two processes with one thread each are nearly twice as fast as one with two.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...run.process import Child, ChildFailed, Function
from ...run.progress import report

if TYPE_CHECKING:
    from ..job import Job

_POLL = 0.25  # seconds
_SIGNALS = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))
_TAIL = 15  # lines of a log that an error shows


class ReplicaFailed(Exception):
    """A replica ended early or stopped moving; the message shows the end of its log."""


@dataclass
class LineCounter:
    """Counts finished lines that appear in growing files, reading only what is new."""

    folders: Sequence[Path]
    lines: int = 0
    _read: dict[Path, int] = field(default_factory=dict)

    def update(self) -> int:
        """The number of lines seen since the counter was made, old content included."""
        for path in (file for folder in self.folders for file in folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                while block := file.read(1 << 20):
                    self.lines += block.count(b"\n")
                self._read[path] = file.tell()
        return self.lines


def devices(environ: Mapping[str, str], gpus: int, replicas: int, tensor_parallel: int) -> list[str]:
    """`CUDA_VISIBLE_DEVICES` of each replica: neighbouring devices of those that we may use."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(gpus)]
    return [",".join(names[n * tensor_parallel : (n + 1) * tensor_parallel]) for n in range(replicas)]


def play_job(
    job: Job, environments: Sequence[Mapping[str, str]], log: Path, patience: float, words: str
) -> None:
    """Plays what is left of a job in replicas, reporting progress; does nothing if all of it is done.

    Args:
        job: Its models' parts grow.
        environments: Variables of each replica; no more are started than there are groups of tasks.
        log: The replicas' logs are `LOG.replicaN.log`.
        patience: Seconds without a finished task after which the replicas are given up.
        words: What is said beside the progress.

    Raises:
        UserError: the one that a replica raised.
        ReplicaFailed: see `run_replicas`.
    """
    most = max((len(model.groups) for model in job.models), default=0)
    if not most:
        return
    counter = LineCounter([Path(model.parts) for model in job.models])
    total, before = sum(len(model.tasks) for model in job.models), counter.update()

    def moved() -> int:
        done = counter.update() - before
        report(done, total, words)
        return done

    log.parent.mkdir(parents=True, exist_ok=True)
    run_replicas(
        f"{__package__}.worker:play_replica",
        job.to_json(),
        list(environments)[: max(1, most)],
        lambda number: log.with_name(f"{log.name}.replica{number}.log"),
        moved,
        patience,
    )


def run_replicas(
    function: Function,
    job: Any,
    environments: Sequence[Mapping[str, str]],
    log: Callable[[int], Path],
    moved: Callable[[], int],
    patience: float,
) -> None:
    """Runs one process an environment and waits for all; whatever happens, none is left behind.

    Args:
        function: What a replica does (see `run.process`), with `{"job", "replica": its number, "replicas"}`.
        job: The same for all of them.
        environments: Variables of each replica, besides this process's own.
        log: The log file of a replica.
        moved: A number that grows when something was finished; called a few times a second.
        patience: Seconds without growth after which the replicas are given up.

    Raises:
        UserError: the one that a replica raised.
        ReplicaFailed: one ended with an error, or nothing has moved for `patience` seconds.
    """
    replicas: list[Child] = []
    try:
        for number, variables in enumerate(environments):
            share = {"job": job, "replica": number, "replicas": len(environments)}
            replicas.append(Child(function, share, environment=variables, log=log(number), group=True))
        _watch(replicas, log, moved, patience)
    finally:
        for replica in replicas:
            replica.end(_SIGNALS)


def _watch(
    replicas: Sequence[Child],
    log: Callable[[int], Path],
    moved: Callable[[], int],
    patience: float,
) -> None:
    seen, since = moved(), time.monotonic()
    while True:
        running = False
        for number, replica in enumerate(replicas):
            code = replica.poll()
            running |= code is None
            if code:
                with suppress(ChildFailed):
                    replica.result()  # a user's mistake is told as one
                raise ReplicaFailed(
                    f"replica {number} ended with code {code}; the end of its log {log(number)}:\n"
                    + tail(log(number))
                )
        if (now := moved()) != seen:
            seen, since = now, time.monotonic()
        if not running:
            return
        if time.monotonic() - since > patience:
            raise ReplicaFailed(
                f"no task was finished for {patience:.0f} seconds (eval.patience_seconds); "
                f"the end of the log {log(0)}:\n" + tail(log(0))
            )
        time.sleep(_POLL)


def tail(path: Path, lines: int = _TAIL) -> str:
    """The last lines of a log."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
