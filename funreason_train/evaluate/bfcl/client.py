"""The evaluation's end of the sandbox in which bfcl-eval's entries are played and checked (`entries`)."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any

from ...environments.sandbox.channel import Lines
from ...environments.sandbox.limits import CallLimits
from ...environments.sandbox.session import GONE, Sandbox, Session
from ...errors import UserError
from .entries import EntryOptions, is_interactive

_WORK = f"{__package__}.entries:prepare"


class HostFailed(Exception):
    """The host ended although nobody told it to."""


class HostClient:
    """A running host; many entries are under way in it at a time.

    Args:
        python: The interpreter of the environment that holds bfcl-eval.
        options: Which entries there are.
        limits: What one call, or checking one answer, may take, and the calls of one entry may add.
        messages: Where its messages are put, as `(entry's id, {"ask": …} or {"done": …})`; `("", None)` when
            the host has ended.

    Attributes:
        hello: What the host said of itself: see `entries.Entries.hello`.
    """

    def __init__(
        self,
        python: str,
        options: EntryOptions,
        limits: CallLimits,
        messages: queue.SimpleQueue[Any] | None = None,
    ) -> None:
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue() if messages is None else messages
        # bfcl-eval makes folders where it thinks its project is: one root a host, gone with it.
        self._root = tempfile.TemporaryDirectory(prefix="bfcl-")
        self._sandbox = Sandbox(_WORK, asdict(options), limits, python, _variables(self._root.name))
        self.hello = self._first_answer(python)
        self._single = {
            name
            for category, names in self.hello["entries"].items()
            for name in names
            if not is_interactive(category)
        }
        self._playing: dict[str, Session] = {}
        self._desk: Session | None = None
        self._asked: deque[tuple[str, dict[str, Any]]] = deque()  # requests that the desk has to answer
        self._lock = threading.RLock()  # what is held above; never while something is sent
        self._sending = threading.Lock()  # the desk answers in the order in which it is asked
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ, None)
        self._fresh: queue.SimpleQueue[tuple[str, Session]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(woken,), daemon=True)
        self._reader.start()

    def __enter__(self) -> HostClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.close()  # which ends the thread that reads
        self._reader.join()
        for session in [*self._playing.values(), *([self._desk] if self._desk else [])]:
            session.close()
        self._sandbox.close()
        self._root.cleanup()

    def open(self, name: str) -> None:
        """Begins an entry; its first `ask` follows."""
        if name in self._single:
            self._ask_desk(name, {"first": name})
            return
        with self._lock:  # so that what its process says at once is known to be this entry's
            session = self._playing[name] = self._open(name)
        session.send({"open": name})

    def answer(self, name: str, text: str) -> None:
        """Hands over the completion that an entry asked for."""
        if name in self._single:
            self._ask_desk(name, {"check": name, "text": text})
        else:
            with self._lock:
                session = self._playing.get(name)
            if session is not None:  # else it died meanwhile, which has been said
                session.send({"text": text})

    def stop(self, name: str, reason: str) -> None:
        """Gives an entry up; its `done` follows."""
        with self._lock:
            session = self._playing.pop(name, None)
        if session is not None:
            with contextlib.suppress(OSError):
                session.connection.shutdown(socket.SHUT_RDWR)  # the thread that reads closes it
        self._ask_desk(name, _failed(name, reason))

    def _first_answer(self, python: str) -> dict[str, Any]:
        session = self._sandbox.open()
        session.connection.settimeout(None)  # the host loads bfcl-eval first
        hello = session.ask({"hello": None})
        session.close()
        if "stopped" in hello:
            code = self._sandbox.close()
            self._root.cleanup()
            raise UserError(
                f"bfcl-eval cannot be started (code {code}; what it said is above)",
                where=python,
                fix="Install the locked environment again (launch/bootstrap.sh), "
                "or remove this folder if it is bfcl-eval's own environment",
            )
        return hello

    def _open(self, name: str) -> Session:
        """A session whose answers are read under an entry's id; the empty id is the desk's."""
        if self._sandbox.process is None or self._sandbox.process.poll() is not None:
            raise HostFailed("bfcl-eval's process ended")
        session = self._sandbox.open()
        session.connection.settimeout(None)
        self._fresh.put((name, session))
        self._wake.send(b"+")
        return session

    def _ask_desk(self, name: str, request: dict[str, Any]) -> None:
        with self._sending:
            with self._lock:
                if self._desk is None:
                    self._desk = self._open("")
                self._asked.append((name, request))
                desk = self._desk
            desk.send(request)

    def _read(self, woken: socket.socket) -> None:
        """Reads all sessions and puts what they say on the queue, until the client is closed."""
        lines: dict[Session, Lines] = {}
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not woken.recv(4096):
                        return
                    while not self._fresh.empty():
                        name, session = self._fresh.get()
                        lines[session] = Lines()
                        self._selector.register(session.connection, selectors.EVENT_READ, (name, session))
                    continue
                name, session = key.data
                try:
                    block = session.connection.recv(1 << 20)
                except OSError:
                    block = b""
                for line in lines[session].add(block):
                    self._said(name, session, json.loads(line))
                if not block:
                    self._selector.unregister(session.connection)
                    del lines[session]
                    self._said(name, session, {"stopped": GONE})
                    session.close()

    def _said(self, name: str, session: Session, message: dict[str, Any]) -> None:
        with self._lock:
            if not name:
                self._desk_said(session, message)
                return
            if self._playing.get(name) is not session:
                return  # it was stopped or is done, and this is the end of its connection
            if "ask" in message:
                self.messages.put((name, message))
                return
            del self._playing[name]
            if "done" in message:
                self.messages.put((name, message))
            else:
                self._ask_later([(name, _failed(name, message["stopped"]))])

    def _desk_said(self, session: Session, message: dict[str, Any]) -> None:
        if self._desk is not session:
            return
        if "stopped" not in message:
            self.messages.put((self._asked.popleft()[0], message))
            return
        self._desk = None
        left, self._asked = self._asked, deque()
        if not left:
            return
        name, request = left.popleft()
        if "check" not in request:  # nothing of a model's was at work
            self.messages.put(("", None))
            return
        self._ask_later([(name, _failed(name, message["stopped"])), *left])

    def _ask_later(self, requests: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Asks the desk from a thread of its own: the one that reads must never wait for it."""

        def work() -> None:
            try:
                for name, request in requests:
                    self._ask_desk(name, request)
            except (HostFailed, OSError):
                self.messages.put(("", None))

        threading.Thread(target=work, daemon=True).start()


def _failed(name: str, reason: str) -> dict[str, Any]:
    return {"failed": name, "reason": reason}


def _variables(root: str) -> Mapping[str, str]:
    """The variables of a host besides those of any: no secret but the one that web search needs."""
    kept = [
        "HF_HOME",
        "HF_HUB_CACHE",
        "SENTENCE_TRANSFORMERS_HOME",
    ]  # where a user's copy of an encoder may lie
    if os.environ.get("SERPAPI_API_KEY"):  # then web search runs, and how the web is reached counts
        kept += ["SERPAPI_API_KEY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY"]
        kept += ["NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
    values = {name: os.environ[name] for name in kept if name in os.environ}
    offline = {
        "HF_HUB_OFFLINE": "1",
        # memory_vector's encoder: it works in forked processes, which threads would not survive.
        **{"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"},
    }
    return {**values, **offline, "BFCL_PROJECT_ROOT": root}
