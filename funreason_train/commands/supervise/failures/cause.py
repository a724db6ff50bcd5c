"""What a stage's log says first about its end (pure).

The error that ends a driver is often only an echo: an engine or a worker died in a process of its own, and
what killed it stands further up, among the words of many processes. Ray puts `(Process pid=N)` before each
line, vLLM a second such mark and a logging head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from .signs import CASCADE, ROOT, sign_of

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: A process's mark; a progress bar without an end of line may stand before it.
_MARK = re.compile(
    r"(?:^|\x1b\[\d+m)\((?P<name>[\w.:]+)(?: pid=(?P<pid>\d+))?(?:, ip=[^()\s]+)?\)(?:\x1b\[0m)? "
)
#: The head of a line that vLLM logged.
_HEAD = re.compile(r"(?:ERROR|WARNING|INFO|CRITICAL) [\d-]+ [\d:]+ \[[\w.]+:\d+\] ?")
#: A rank's mark, of torch and of torchrun.
_RANK = re.compile(r"\[(?:rank|default|trainer)(?P<number>\d+)\]:(?: |(?=\S))")
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
    "Segmentation fault",
    "(core dumped)",
)
#: Ray's words on it.
_DEAD_WORKER = re.compile(
    r"A worker died or was killed.* Worker PID: (?P<pid>\d+) .*Worker exit detail: "
    r"(?P<detail>.*?)(?=\.? Some common causes|$)"
)
_LONGEST = 300  # characters of an error that are shown
_FRAME = re.compile(r'^\s*File "')
#: What makes a line outside a traceback worth a look where its words could also be harmless.
_SERIOUS = re.compile(r"(?i)(?!.*(?-i:Warning|WARNING)).*(?:error|exception|fatal|fail|panic|abort|critical)")


@dataclass(frozen=True)
class Cause:
    """An error of a log.

    Attributes:
        line: Where its words stand, from 1.
        process: The process that wrote it; empty for the driver.
        error: Its words, on one line.
        role: `signs.ROOT`: it may be why the stage ended; `CASCADE`: it says that others have gone;
            `TEARDOWN`: it comes of everything being put away.
        frames: Of its traceback, `File "…", line N, in NAME`, innermost last.
        loose: It stands in no traceback and could be harmless: a library that does without.
    """

    line: int
    process: str
    error: str
    role: str = ROOT
    frames: tuple[str, ...] = field(default=(), compare=False)
    loose: bool = field(default=False, compare=False)

    @property
    def fix(self) -> str:
        """What is known to help; empty if nothing is."""
        sign = sign_of(self.error)
        if sign is None:
            return ""
        return sign.fix or (sign.kind.fix if sign.role == ROOT else "")


def first_cause(lines: Iterable[str]) -> Cause | None:
    """The first error after the last sign of health, or None if the log names none.

    Args:
        lines: The log. Tracebacks that only repeat what another process suffered are passed over.
    """
    found = findings(lines)
    roots = sorted((one for one in found if one.role == ROOT), key=lambda one: one.loose)
    echoes = [one for one in found if one.role == CASCADE and not _ECHOES.search(one.error)]
    return next(iter([*roots, *echoes]), None)


def findings(lines: Iterable[str]) -> list[Cause]:
    """Every error after the last sign of health, in the order of the log.

    Args:
        lines: The log.
    """
    found: list[Cause] = []
    going_on = False  # the last error's words may go on in the next line
    inside: dict[
        str, list[str]
    ] = {}  # process -> the frames so far of the traceback that its lines belong to
    names: dict[str, str] = {}  # pid -> the process that Ray calls a worker of that pid
    for number, process, text in _spoken(lines):
        names.setdefault(process.rpartition("pid=")[2], process)
        if _HEALTHY.match(text):
            found, inside, going_on = [], {}, False
            continue
        if going_on and process == found[-1].process and text[:1].isspace() and text.strip():
            found[-1] = replace(found[-1], error=_short(f"{found[-1].error} {text}"))
            continue
        going_on = False
        if text.endswith(_TRACEBACK):
            inside[process] = []
        elif process in inside and text and not text[0].isspace():
            frames = tuple(inside.pop(process))
            if _ECHOES.search(text):
                if "RayTaskError" in text:  # an echo's own traceback goes on below its first line
                    inside[process] = []
                found.append(Cause(number, process, _short(text), _role(text, CASCADE), frames))
            elif _EXCEPTION.match(text):
                found.append(Cause(number, process, _short(text), _role(text, ROOT), frames))
                going_on = True
        elif process in inside:
            if _FRAME.match(text):
                inside[process].append(text.strip())
        elif dead := _DEAD_WORKER.search(text):
            who = names.get(dead["pid"], f"worker pid={dead['pid']}")
            found.append(Cause(number, who, _short(f"A worker died or was killed ({dead['detail']})")))
        elif any(part in text for part in _WITHOUT_A_WORD):
            found.append(Cause(number, process, _short(text)))
        elif (sign := sign_of(text)) and (sign.strong or sign.role != ROOT or _SERIOUS.match(text)):
            loose = sign.role == ROOT and not sign.strong
            found.append(Cause(number, process, _short(text), sign.role, loose=loose))
        elif _ERROR.match(text):  # its traceback is not here, as where several processes write at once
            found.append(Cause(number, process, _short(text), _role(text, ROOT), loose=True))
    return found


def _role(text: str, otherwise: str) -> str:
    """What an exception's words make of it; those that no sign fits are what they seem."""
    sign = sign_of(text)
    if sign is None or (otherwise == CASCADE and sign.role == ROOT):
        return otherwise
    return sign.role


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
        if rank := _RANK.match(text):
            process, text = f"{process} rank {rank['number']}".strip(), text[rank.end() :]
        yield number, process, _HEAD.sub("", text, count=1) if _HEAD.match(text) else text


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
