"""Plays the machines of a rehearsal and runs its steps on them.

With namespaces this is the first process of the rack (see `cluster.hosts.namespaces`): when it ends, however,
the kernel ends everything that was started. It is started by `rehearse`, which holds the other end of a pipe:
when that closes, the rehearsal is over.

    python -m funreason_train.commands.rehearsal.play JOB.json LIFELINE
"""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...cluster.hosts import Host, HostsError, LoopbackHosts, NamespaceHosts
from ...run.files import write_json
from .plan import Place, Step
from .said import last_words
from .usage import Usage

#: Of a host's Ray. RL asks for logical GPUs and more CPUs than a small machine declares by itself.
_RAY = "--num-cpus={cpus} --num-gpus=1 --object-store-memory=100000000"
_WAIT_SECONDS = 300
_LEAVE_SECONDS = 60.0  # for the other hosts, once the first one has ended
_SAY_SECONDS = 30.0
_RAY_CLI = " scripts.py:"  # what `ray start` says of itself
#: The variables that would tell a launch script about another cluster than the played one.
_FOREIGN = (
    "RAY_ADDRESS",
    "NNODES",
    "NODE_RANK",
    "HEAD_ADDR",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


@dataclass(frozen=True)
class Job:
    """What is to be played.

    Attributes:
        root: The rehearsal's folder.
        namespaces: How hosts are made; False: loopback addresses.
        hosts: How many.
        cpus: Logical CPUs that each host's Ray declares.
        scratch: A short path for sockets and temporary files.
        steps: What runs on them.
        fail: Stage -> the pattern of a file at whose appearance the last host is switched off.
    """

    root: str
    namespaces: bool
    hosts: int
    cpus: int
    scratch: str
    steps: Sequence[Step]
    fail: Mapping[str, str]

    @classmethod
    def read(cls, file: Path) -> Job:
        """From the file that `write` made."""
        values = json.loads(file.read_text(encoding="utf-8"))
        steps = [Step(step["stage"], step["hosts"], tuple(step["command"])) for step in values.pop("steps")]
        return cls(steps=steps, **values)

    def write(self, file: Path) -> None:
        """For a process of its own."""
        write_json(file, asdict(self))


@dataclass
class Result:
    """How a step went; `attempts` counts the commands that it took."""

    stage: str
    hosts: int
    code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    attempts: int
    failed_host: str | None = None


Machines = NamespaceHosts | LoopbackHosts


def machines_of(job: Job) -> Machines:
    """The hosts of a job, not made yet."""
    return NamespaceHosts(job.hosts) if job.namespaces else LoopbackHosts(job.hosts, Path(job.scratch).name)


def play(job: Job, machines: Machines, say: Callable[[str], None] = print) -> int:
    """Makes the hosts, runs all steps and ends the hosts; stops at the first step that fails.

    Returns:
        The exit code of the failed step's driver, or 0.
    """
    place = Place(Path(job.root))
    results: list[Result] = []
    with machines:
        for number, step in enumerate(job.steps, 1):
            say(f"[{number}/{len(job.steps)}] {step.stage} on {step.hosts} host{'s' * (step.hosts > 1)}")
            result = _Attempts(job, place, machines.hosts, step, say).run()
            results.append(result)
            _record(place, job, results)
            if result.code:
                return result.code
    return 0


class _Attempts:
    """One step, with a host that fails if it is asked for."""

    def __init__(
        self, job: Job, place: Place, hosts: Sequence[Host], step: Step, say: Callable[[str], None]
    ) -> None:
        self.job, self.place, self.step, self.say = job, place, step, say
        self.hosts = hosts[: step.hosts]
        self.trigger = job.fail.get(step.stage)
        self.failed: str | None = None
        self.usage = Usage()

    def run(self) -> Result:
        """Runs the step's command; once more if it ended because of the failure that was asked for."""
        started, attempts, code = time.monotonic(), 0, 0
        for host in self.hosts:
            self.place.log(self.step.stage, host.rank).unlink(missing_ok=True)
        while True:
            attempts += 1
            code = self._attempt()
            if code == 0 or self.failed is None or attempts > 1:
                break
            self.say(
                f"  {self.step.stage} ended with code {code} without {self.failed}; the same command again"
            )
        seconds = time.monotonic() - started
        if code:
            self.say(last_words(self.place, self.step, code))
        else:
            self.say(f"  done in {seconds:.0f} s")
        return Result(
            *(self.step.stage, self.step.hosts, code, round(seconds, 1)),
            *(round(self.usage.cpu_seconds(), 1), self.usage.peak_bytes, attempts, self.failed),
        )

    def _attempt(self) -> int:
        processes = [self._start(host) for host in self.hosts]
        told = time.monotonic()
        while processes[0].poll() is None:
            time.sleep(0.5)
            self.usage.sample()
            if time.monotonic() - told > _SAY_SECONDS:
                told = time.monotonic()
                self.say(f"  {_last_line(self.place.log(self.step.stage, 0))}")
            if self.trigger is not None and glob.glob(self.trigger):
                self.trigger = None
                processes[-1] = self._fail(processes[-1])
        deadline = time.monotonic() + _LEAVE_SECONDS
        for host, process in zip(self.hosts, processes, strict=True):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"  {host.name} does not leave; it is switched off")
                host.power_off()
                host.power_on()
                process.wait()
        return processes[0].returncode

    def _fail(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Switches the last host off; it comes back at once, with the same command."""
        host = self.hosts[-1]
        self.failed = host.name
        self.say(f"  {host.name} is switched off, and comes back")
        host.power_off()
        process.wait()
        host.power_on()
        return self._start(host)

    def _start(self, host: Host) -> subprocess.Popen[bytes]:
        log = self.place.log(self.step.stage, host.rank)
        log.parent.mkdir(parents=True, exist_ok=True)
        return host.start(self.step.command, host_environment(self.job, self.step, host, self.hosts[0]), log)


def host_environment(
    job: Job, step: Step, host: Host, head: Host, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables of a launch script on a host.

    Args:
        job: The rehearsal's.
        step: What it runs.
        host: Where.
        head: The host of rank 0.
        environ: The user's variables.
    """
    found = {
        name: value
        for name, value in environ.items()
        if name not in _FOREIGN and not name.startswith("SLURM_")
    }
    folder = Path(job.scratch) / str(host.rank)
    folder.mkdir(parents=True, exist_ok=True)
    found |= {
        "OMP_NUM_THREADS": environ.get("OMP_NUM_THREADS", "1"),
        # Hides a GPU from the frameworks and leaves Ray something to count.
        "CUDA_VISIBLE_DEVICES": "-1",
        "FUNREASON_DEVICE": "cpu",
        "TMPDIR": str(folder),
        "FUNREASON_RAY_TEMP": str(folder / "ray"),
        "FUNREASON_RAY_ARGS": f"{_RAY.format(cpus=job.cpus)} {environ.get('FUNREASON_RAY_ARGS', '')}".strip(),
        "FUNREASON_WAIT_SECONDS": environ.get("FUNREASON_WAIT_SECONDS", str(_WAIT_SECONDS)),
    }
    if step.hosts > 1:
        found |= {"NNODES": str(step.hosts), "NODE_RANK": str(host.rank), "HEAD_ADDR": head.address}
    return found


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "starting"
    told = (line.strip() for line in reversed(lines) if line.strip() and _RAY_CLI not in line)
    return next(told, "starting")


def _record(place: Place, job: Job, results: Sequence[Result]) -> None:
    done = len(results) == len(job.steps) and not results[-1].code
    network = "namespaces" if job.namespaces else "loopback"
    write_json(
        place.record,
        {"done": done, "network": network, "hosts": job.hosts, "steps": [asdict(one) for one in results]},
    )


def _end_with(lifeline: int, end: Callable[[], None]) -> None:
    """Ends this process when nobody holds the other end of the pipe any more."""

    def watch() -> None:
        os.read(lifeline, 1)
        end()
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Plays a job; see the module."""
    job = Job.read(Path(arguments[0]))
    machines = machines_of(job)
    # In a rack the kernel ends the hosts with this process; elsewhere they are searched.
    _end_with(int(arguments[1]), lambda: None if job.namespaces else machines.__exit__(None, None, None))
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # the first process of a namespace has no handlers of its own
    try:
        return play(job, machines, lambda text: print(text, flush=True))
    except KeyboardInterrupt:
        return 130
    except HostsError as error:
        print(f"Error: the hosts cannot be played: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
