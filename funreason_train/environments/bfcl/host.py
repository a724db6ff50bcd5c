"""Where BFCL's classes live: `python -m funreason_train.environments.bfcl.host`, one a process that plays.

Standard input is a Unix socket over which connections are handed to us (SCM_RIGHTS); for each we fork a
process that answers requests on it, a JSON object a line, until the other side closes it:

    {"load": {"classes": […], "config": {class: scenario}}}   ->   {"loaded": true} or {"broken": why}
    {"call": {"name", "arguments"}}                           ->   {"result": text, "ok": …, "value": JSON}
    {"state": null}                                           ->   {"state": {class: {attribute: value}}}

A request that reaches a limit is answered by `{"stopped": reason}`, and its process ends: by itself, or by
the kernel's timer, and then the host says why. What a call does to its process it does to one environment.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import math
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from ..sandbox.limits import LimitReached, Watchdog, cause_of_death, limit_memory, lock
from .documents import CLASSES
from .execute import Executable, Methods, execute, make_instance, one_line, public_methods

MAX_STATE = 10_000_000  # characters


class World:
    """The instances of one environment."""

    def __init__(self) -> None:
        self._instances: dict[str, Any] = {}
        self._methods: Methods = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers one request.

        Raises:
            LimitReached: it took too much.
        """
        if "load" in request:
            return self._load(**request["load"])
        if "call" in request:
            call = Executable(request["call"]["name"], (), request["call"]["arguments"])
            done = execute(lambda: call, self._methods)
            return {"result": done.text, "ok": done.ok, "value": plain(done.value)}
        return {"state": self.state()}

    def _load(self, classes: list[str], config: dict[str, Any]) -> dict[str, Any]:
        try:
            for name in classes:
                made = self._instances[name] = make_instance(name, config.get(name, {}))
                self._methods |= public_methods(made)
        except Exception as error:  # whatever a wrong scenario makes of bfcl-eval's code
            return {"broken": one_line(f"{type(error).__name__}: {error}", 300)}
        return {"loaded": True}

    def state(self) -> dict[str, Any]:
        """What BFCL compares (`multi_turn_checker._compare_instances`): the public attributes."""
        return {name: _fields(made, {}) for name, made in self._instances.items()}


def _fields(made: Any, above: dict[int, Any]) -> dict[str, Any]:
    return {
        name: plain(value, {**above, id(made): made})
        for name, value in vars(made).items()
        if not name.startswith("_")
    }


def plain(value: Any, above: dict[int, Any] | None = None) -> Any:
    """A value as JSON, so that equal values look alike; an object that it stands in is left out.

    Args:
        value: Of an attribute.
        above: The objects that it stands in, by identity.
    """
    above = above or {}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # equal to itself
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): plain(one, above) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, above) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one, above) for one in value), key=repr)
    if not type(value).__module__.startswith("bfcl_eval."):
        return repr(value)
    if id(value) in above:  # a folder's parent
        return None
    return _fields(value, above)


def serve(requests: Any, answers: Any, seconds: float, wall: float, memory: int) -> None:
    """Answers one environment's requests to their end.

    Args:
        requests: A binary file to read lines from.
        answers: A binary file to write lines to.
        seconds: Processor time for one request.
        wall: Seconds on the clock for one.
        memory: MiB that they all may add.
    """
    limit_memory(memory)
    watchdog, world = Watchdog(seconds, wall), World()
    for line in requests:
        watchdog.arm()
        try:
            answer = json.dumps(world.answer(json.loads(line)))
            if len(answer) > MAX_STATE:
                raise LimitReached(f"state_limit: the state has more than {MAX_STATE} characters")
        except LimitReached as error:
            answer = json.dumps({"stopped": str(error)})
        except MemoryError:
            answer = json.dumps({"stopped": "memory_limit: a call took too much memory and was stopped"})
        watchdog.rest()
        answers.write(answer.encode() + b"\n")
        answers.flush()
        if answer.startswith('{"stopped"'):
            return


class Host:
    """Forks a process for each connection and says why one was ended.

    Args:
        control: Where connections come from.
        limits: `seconds`, `wall` and `memory` of `serve`.
    """

    def __init__(self, control: socket.socket, limits: dict[str, Any]) -> None:
        self._control, self._limits = control, limits
        self._children: dict[int, int] = {}  # process -> our copy of its connection

    def run(self) -> None:
        """Serves until the process that started us is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: self._bury())
        for connection in self._connections():
            # A child that ends at once is buried once it is known.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            if (pid := os.fork()) == 0:
                self._child(connection)
            self._children[pid] = connection
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def _connections(self) -> Iterator[int]:
        while True:
            word, passed, _, _ = socket.recv_fds(self._control, 1, 1)
            if not word:
                return
            yield from passed

    def _child(self, connection: int) -> NoReturn:
        code = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            for other in self._children.values():
                os.close(other)
            with open(connection, "rb", closefd=False) as requests, open(connection, "wb") as answers:
                serve(requests, answers, **self._limits)
            code = 0
        except (BrokenPipeError, ConnectionResetError):  # nobody waits for the answer any more
            code = 0
        except BaseException as error:
            with contextlib.suppress(Exception):
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def _bury(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self._children.pop(pid)
            if status:
                with contextlib.suppress(OSError):
                    os.write(connection, json.dumps({"stopped": cause_of_death(status)}).encode() + b"\n")
            os.close(connection)


def main(arguments: list[str]) -> None:
    """Imports the classes, gives network and programs up, and serves."""
    control = socket.socket(fileno=0)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what bfcl-eval prints
    from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING

    for name in CLASSES:
        importlib.import_module(CLASS_FILE_PATH_MAPPING[name])
    lock(network=False)
    gc.collect()
    gc.freeze()  # forked processes then leave these pages shared
    Host(control, json.loads(arguments[0])).run()


if __name__ == "__main__":
    main(sys.argv[1:])
