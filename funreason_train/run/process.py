"""Work in a process of its own: `call_in_process(function, job)`, and `Child` for several of them at once.

A stage, a framework's tokeniser or an engine runs alone, so that a framework's environment variables, memory
and crashes stay with it. The job and the result travel as JSON through files without a name, so nothing is
left behind; a `UserError` comes home as one; the child ends when its parent does, killed included (more
exactly: when the thread that started it ends).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import UserError
from .secrets import clear_log

Function = Callable[[Any], Any] | str
"""A module's function of one JSON value that returns one, or its name (`package.module:name`)."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MAIN = f"import sys; from {__name__} import _answer; sys.exit(_answer(*sys.argv[1:]))"
#: How a child is asked to end: each signal with the seconds until the next one.
_SIGNALS = ((signal.SIGINT, 20.0), (signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0))


class ChildFailed(Exception):
    """A child ended without a result.

    Attributes:
        code: Its exit code; negative for a signal.
        why: The exception that ended it, on one line; empty if it left no message.
    """

    def __init__(self, function: str, code: int, why: str) -> None:
        self.code, self.why = code, why
        super().__init__(f"{function}: {why or f'its process ended with code {code} and no message'}")


def call_in_process(function: Function, job: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Calls `function(job)` in a process of its own and returns what it returns.

    Args:
        function: Of a module; a name spares this process the import.
        job: Any JSON value.
        environment: Variables besides this process's own.

    Raises:
        UserError: the one that the function raised.
        ChildFailed: if it raised anything else, or was killed.
    """
    with Child(function, job, environment=environment) as child:
        return child.result()


class Child:
    """A function that works in a process of its own; as a context it is ended when the context is left.

    Args:
        function: Of a module, or its name.
        job: What it is called with.
        environment: Variables besides this process's own.
        log: Where its output goes, which has no secrets once it has ended; None: where ours does.
        group: Give it a process group of its own, which is ended with it, and keep Ctrl-C from it.
        inherit: File descriptors that it and its children hold, a lock's for example.
    """

    def __init__(
        self,
        function: Function,
        job: Any,
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        group: bool = False,
        inherit: Sequence[int] = (),
    ) -> None:
        self.name = function if isinstance(function, str) else f"{function.__module__}:{function.__name__}"
        self._group, self._log = group, log
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `result` or `end`)
        with tempfile.TemporaryFile() as question:
            question.write(json.dumps(job).encode())
            question.flush()
            files = (question.fileno(), self._answer.fileno())
            output = log.open("wb") if log else None
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _MAIN, self.name, str(os.getpid()), *map(str, files)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output else None,
                    env={**os.environ, **(environment or {})},
                    start_new_session=group,
                    pass_fds=(*files, *inherit),
                )
            finally:
                if output:
                    output.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, or None while it works."""
        return self._process.poll()

    def result(self) -> Any:
        """Waits for the end and returns what the function returned.

        Raises:
            UserError: the one that the function raised.
            ChildFailed: if it raised anything else, or was killed.
        """
        code = self._process.wait()
        self._answer.seek(0)
        text = self._answer.read()
        try:
            outcome = json.loads(text)
        except ValueError:  # it was killed before, or while, it answered
            outcome = {}
        if "user" in outcome:
            raise UserError(**outcome["user"])
        if "result" in outcome:
            return outcome["result"]
        raise ChildFailed(self.name, code, outcome.get("error", ""))

    def end(self, signals: Sequence[tuple[signal.Signals, float]] = _SIGNALS) -> None:
        """Ends it, with its process group if it has one, and waits; nothing if it has ended.

        Args:
            signals: Which to send, each with the seconds that it is given.
        """
        for number, patience in signals:
            if self._process.poll() is not None:
                break
            if number == signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                continue  # a script's `command &` ignores it, and so does what it starts: no use to wait
            if self._group:
                os.killpg(self.pid, number)
            else:
                self._process.send_signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self._answer.close()
        if self._log is not None:
            clear_log(self._log)


def end_with_parent(parent: int | None = None) -> None:
    """Asks the kernel to end this process when the one that started it is gone, killed included.

    Does nothing where the kernel is not Linux.

    Args:
        parent: Who that is, so that one that died before we could ask is noticed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent is not None and os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)


def _answer(name: str, parent: str, question: str, answer: str) -> int:
    """What a child does: reads the job, calls the function, writes the outcome; returns the exit code."""
    end_with_parent(int(parent))
    with open(int(question), "rb") as file:
        file.seek(0)
        job = json.loads(file.read())
    # The function's own children are not given the file, since descriptors are passed on only where named.
    os.set_inheritable(int(answer), False)
    module, _, function = name.partition(":")
    outcome: dict[str, Any]
    try:
        outcome, code = {"result": getattr(import_module(module), function)(job)}, 0
        text = json.dumps(outcome)
    except UserError as error:
        parts = {"what": error.what, "where": error.where, "fix": error.fix}
        text, code = json.dumps({"user": parts}), 2
    except Exception as error:
        traceback.print_exc()
        text, code = json.dumps({"error": f"{type(error).__name__}: {error}"}), 1
    with open(int(answer), "wb") as file:
        file.write(text.encode())
    return code
