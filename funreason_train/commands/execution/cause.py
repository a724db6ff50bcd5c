"""What a stage's log says first about its end (pure).

The error that ends a driver is often only an echo: an engine or a worker died in a process of its own, and
what killed it stands further up, among the words of many processes. Ray puts `(Process pid=N)` before each
line, vLLM a second such mark and a logging head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: A process's mark; a progress bar without an end of line may stand before it.
_MARK = re.compile(
    r"(?:^|\x1b\[\d+m)\((?P<name>[\w.:]+)(?: pid=(?P<pid>\d+))?(?:, ip=[^()\s]+)?\)(?:\x1b\[0m)? "
)
#: The head of a line that vLLM logged.
_HEAD = re.compile(r"(?:ERROR|WARNING|INFO|CRITICAL) [\d-]+ [\d:]+ \[[\w.]+:\d+\] ?")
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"(?P<name>[A-Za-z_][\w.]*(?:\([\w.]+\))?)(?::\s|$)")
_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception)(?::\s|$)")
#: Progress that only a healthy run prints (verl's console; LLaMA-Factory's); what went before it did no harm.
_HEALTHY = re.compile(r"step:\d+ - |\{'loss': ")
#: Exceptions that say no more than that something happened in another process.
_ECHOES = re.compile(
    r"EngineDeadError|RayTaskError|ActorDiedError|ActorUnavailableError|See (?:stack trace|root cause) |"
    r"cannot pickle|KeyboardInterrupt"
)
#: How a process ends without a traceback.
_WITHOUT_A_WORD = (
    "engine core exited unexpectedly",
    "killed due to memory pressure",
    "running low on memory",
    "Fatal Python error",
    "SIGSEGV received",
    "SIGBUS received",
)
#: Ray's words on it.
_DEAD_WORKER = re.compile(
    r"A worker died or was killed.* Worker PID: (?P<pid>\d+) .*Worker exit detail: "
    r"(?P<detail>.*?)(?=\.? Some common causes|$)"
)
_LONGEST = 300  # characters of an error that are shown
#: What is known to help, by what the error says.
_FIXES = (
    (
        ("CUDA out of memory", "HIP out of memory"),
        "a GPU ran out of memory: use fewer tokens or samples a pass (rl.tokens_per_pass, "
        "rl.samples_per_pass, sft.per_device_batch), or a smaller share for the rollout engine "
        "(rl.rollout.memory)",
    ),
    (
        ("No available memory for the cache blocks", "KV cache is needed"),
        "the rollout engine has too little memory for its cache: give it a larger share "
        "(rl.rollout.memory), or shorter prompts and responses",
    ),
    (
        ("memory pressure", "low on memory", "Cannot allocate memory", "not enough memory", "MemoryError"),
        "the machine ran out of memory: use fewer processes on it, or shorter and fewer samples at once",
    ),
    (
        ("Address already in use", "EADDRINUSE", "address already in use"),
        "another process uses the port, often one of an earlier run that has not ended yet",
    ),
    (
        ("No space left on device",),
        "a disk is full: of the run directory, of checkpoints or of Ray's folder (cluster.temp_dir)",
    ),
    (
        ("exited unexpectedly", "A worker died or was killed"),
        "a process was killed or crashed without a message; `dmesg` tells if the kernel did it to free "
        "memory",
    ),
)


@dataclass(frozen=True)
class Cause:
    """The first error of a log.

    Attributes:
        line: Where its words stand, from 1.
        process: The process that wrote it; empty for the driver.
        error: Its words, on one line.
    """

    line: int
    process: str
    error: str

    @property
    def fix(self) -> str:
        """What is known to help; empty if nothing is."""
        return next((fix for parts, fix in _FIXES if any(part in self.error for part in parts)), "")


def first_cause(lines: Iterable[str]) -> Cause | None:
    """The first error after the last sign of health, or None if the log names none.

    Args:
        lines: The log. Tracebacks that only repeat what another process suffered are passed over.
    """
    found: Cause | None = None
    going_on = False  # the error's words may go on in the next line
    inside: dict[str, bool] = {}  # process -> whether its lines belong to a traceback
    names: dict[str, str] = {}  # pid -> the process that Ray calls a worker of that pid
    for number, process, text in _spoken(lines):
        names.setdefault(process.rpartition("pid=")[2], process)
        if _HEALTHY.match(text):
            found, inside = None, {}
        elif found is not None:
            going_on = going_on and process == found.process and text[:1].isspace() and bool(text.strip())
            if going_on:
                found = replace(found, error=_short(f"{found.error} {text}"))
        elif text.endswith(_TRACEBACK):
            inside[process] = True
        elif inside.get(process) and text and not text[0].isspace():
            inside[process] = False
            # An echo's own traceback goes on below its first line.
            if _ECHOES.search(text):
                inside[process] = "RayTaskError" in text
            elif _EXCEPTION.match(text):
                found, going_on = Cause(number, process, _short(text)), True
        elif dead := _DEAD_WORKER.search(text):
            who = names.get(dead["pid"], f"worker pid={dead['pid']}")
            found = Cause(number, who, _short(f"A worker died or was killed ({dead['detail']})"))
        elif any(part in text for part in _WITHOUT_A_WORD):
            found = Cause(number, process, _short(text))
    return found


def in_one_line(error: str) -> str:
    """An error's own words; where Ray filled in other processes' tracebacks, the last exception."""
    plain = _COLOUR.sub("", error)
    if "RayTaskError" in plain:
        last = [line for line in plain.splitlines()[1:] if _ERROR.match(line)]
        return _short((last or [plain])[-1])
    whole = " ".join(plain.split())
    return whole if len(whole) <= _LONGEST else _short(plain.splitlines()[0])


def _spoken(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """(line number, process, words) of each line, without marks, colours and logging heads."""
    for number, whole in enumerate(lines, start=1):
        line = whole[:4000].rstrip("\r\n").rpartition("\r")[2]
        process = ""
        while mark := _MARK.search(line):
            process = f"{mark['name']} pid={mark['pid']}" if mark["pid"] else mark["name"]
            line = line[mark.end() :]
        text = _COLOUR.sub("", line)
        yield number, process, _HEAD.sub("", text, count=1) if _HEAD.match(text) else text


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
