"""One process that runs sessions: `python -m funreason_train.environments.sandbox.host WORK SETTINGS`.

WORK is a function, `package.module:name`, that is called once with the options in SETTINGS (JSON: `options`,
`seconds`, `wall`, `memory`) and returns a `Prepared`. After that the process has no network (unless that says
so) and starts no programs. Standard input is a Unix socket over which connections are handed to us
(SCM_RIGHTS); for each we fork a process that works on it under the limits (see `channel`), until the other
side closes it. What is done in it, it does to one session: nothing leaks into another.

A process ends by itself at a limit, or by the kernel's timer, and then we say why on its connection. What it
has started ends with it; all of it ends with us, and we with the process that started us, killed included.

It needs the standard library, this package's own rooms below, and what WORK imports, so that it can run in
another environment than its client.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from .channel import Channel
from .limits import CallLimits, LimitReached, Watchdog, cause_of_death, limit_memory, lock
from .offspring import adopt, children, end, end_all

OUT_OF_MEMORY = "memory_limit: a call took too much memory and was stopped"
_GRACE = 3.0  # seconds in which sessions may close what they hold, once nobody asks them any more


@dataclass(frozen=True)
class Prepared:
    """What a host's sessions do.

    Attributes:
        work: Serves one session, in a process of its own, to its end.
        network: Whether sessions may use the network.
        locked: Whether they are kept from starting programs, and from the network unless that is allowed.
    """

    work: Callable[[Channel], None]
    network: bool = False
    locked: bool = True


class Host:
    """Forks a process for each connection and says why one was ended.

    Args:
        control: Where connections come from.
        work: Serves a session.
        limits: Of each session.
        isolation: How this process is locked.
    """

    def __init__(
        self, control: socket.socket, work: Callable[[Channel], None], limits: CallLimits, isolation: str
    ) -> None:
        self._control, self._work, self._limits, self._isolation = control, work, limits, isolation
        self._children: dict[int, int] = {}  # process -> our copy of its connection
        self._forking = False
        self._prepared: set[int] = set()  # processes that the preparation has started, for all sessions

    def run(self) -> None:
        """Serves until the process that started us is gone."""
        self._prepared = children()
        adopt()
        signal.signal(signal.SIGCHLD, lambda *_: self._bury())
        for connection in self._connections():
            self._forking = True  # a child that ends at once is buried once it is known
            if (pid := os.fork()) == 0:
                self._child(connection)
            self._children[pid] = connection
            self._forking = False
            self._bury()
        self._leave()

    def _leave(self) -> None:
        """Ends all sessions and what was started in them."""
        until = time.monotonic() + _GRACE
        while self._children and time.monotonic() < until:
            time.sleep(0.01)
        end_all()

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
            adopt()
            self._control.close()
            for other in self._children.values():
                os.close(other)
            self._serve(connection)
            code = 0
        except (BrokenPipeError, ConnectionResetError):  # nobody waits for the answer any more
            code = 0
        except BaseException as error:
            with contextlib.suppress(Exception):
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def _serve(self, connection: int) -> None:
        if self._limits.memory:
            limit_memory(self._limits.memory)
        channel = Channel(connection, Watchdog(self._limits.seconds, self._limits.wall), self._isolation)
        try:
            self._work(channel)
        except LimitReached as error:
            channel.send({"stopped": str(error)})
        except MemoryError:
            channel.send({"stopped": OUT_OF_MEMORY})

    def _bury(self) -> None:
        """Waits for the children that have ended, and ends what sessions among them have left behind."""
        while not self._forking:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            end(children() - self._children.keys() - self._prepared)
            if (connection := self._children.pop(pid, None)) is None:
                continue
            if status:
                with contextlib.suppress(OSError):
                    os.write(connection, json.dumps({"stopped": cause_of_death(status)}).encode() + b"\n")
            os.close(connection)


def main(arguments: list[str]) -> None:
    """Prepares, gives network and programs up, and serves."""
    control = socket.socket(fileno=0)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what is prepared may print
    module, _, name = arguments[0].partition(":")
    settings = json.loads(arguments[1])
    prepared: Prepared = getattr(importlib.import_module(module), name)(settings["options"])
    isolation = lock(prepared.network) if prepared.locked else "none"
    gc.collect()
    gc.freeze()  # forked processes then leave these pages shared
    limits = CallLimits(settings["seconds"], settings["wall"], settings["memory"])
    Host(control, prepared.work, limits, isolation).run()


if __name__ == "__main__":
    main(sys.argv[1:])
