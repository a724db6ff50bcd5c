"""bfcl-eval in a process of its own: `python -m funreason_train.evaluate.bfcl.host OPTIONS`.

It needs the standard library, bfcl-eval and this package's `calls`, `dialogue` and `environments`, so that
any version of bfcl-eval can run in an environment of its own. Speaks lines over its standard input and
output, `KEY\tJSON`, where KEY is an entry's id.

    from us     \t{"version", "isolation", "entries": {category: [id, …]}, "needs": {id: [id, …]},
                   "not_run": {category: reason}}                          once, when it is ready
    to us       ID\t{"open": null}                                         begin an entry
    from us     ID\t{"ask": [messages to append to the conversation]}
    to us       ID\t{"text": completion}
    to us       ID\t{"stop": reason}                                       give the entry up
    from us     ID\t{"done": {"id", "category", "right", "reasons", "gold", "question", "unclosed"}}

Each multi-turn or agentic entry plays in a process forked for it: no state leaks, and what a call does to
its process it does to that entry alone. Single-turn entries, whose checks are pure functions, share one.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ...dialogue import PromptStyle
from ...environments.bfcl.execute import one_line
from ...environments.sandbox.limits import LimitReached, Watchdog, cause_of_death, limit_memory, lock
from . import bridge
from .categories import WEB_SEARCH, is_prerequisite
from .execute import Executor

_WALL = 60.0  # seconds on the clock for one call
_WEB_WALL = 900.0  # with the web, where bfcl-eval waits and tries again


@dataclass(frozen=True)
class HostOptions:
    """How the host is set up; passed as JSON on its command line.

    Attributes:
        categories: To offer.
        memory: Folder of the memory categories' snapshots.
        style: Of the system prompt.
        call_seconds: Processor time that one call, or checking one answer, may take.
        memory_mib: Memory that the calls of one entry may add.
        unclosed: How a single-turn answer without `</think>` counts.
        listing: Only say what there is, and end.
    """

    categories: tuple[str, ...]
    memory: str
    style: PromptStyle = "bfcl"
    call_seconds: float = 5.0
    memory_mib: int = 1024
    unclosed: bridge.Unclosed = "failed"
    listing: bool = False


@dataclass
class _Child:
    """A forked process: `put` is our end of its input, `get` of its output."""

    pid: int
    put: int
    get: int
    buffer: bytearray = field(default_factory=bytearray)


@dataclass
class _Entry:
    category: str
    value: dict[str, Any]
    truth: Any
    functions: Any
    before: list[str]


class Host:
    """Loads the entries, forks processes for them and passes lines between those and our own parent."""

    def __init__(self, options: HostOptions, output: int) -> None:
        self.options, self.output = options, output
        self.memory = Path(options.memory)
        version = bridge.load_bfcl()
        self.entries: dict[str, _Entry] = {}
        listed: dict[str, list[str]] = {}
        not_run: dict[str, str] = {}
        for category in options.categories:
            if reason := bridge.not_runnable(category):
                not_run[category] = reason
                continue
            entries, truths = bridge.load_entries(category, self.memory)
            single = not _interactive(category)
            functions = bridge.functions_to_check(category) if single else {}
            for value in entries:
                name = value["id"]
                before = list(value.get("depends_on", ()))
                self.entries[name] = _Entry(category, value, truths.get(name), functions.get(name), before)
            listed[category] = [entry["id"] for entry in entries]
        self.network = any(category in WEB_SEARCH for category in listed)
        needs = {name: entry.before for name, entry in self.entries.items() if entry.before}
        self.hello = {
            "version": version,
            "isolation": lock(self.network),
            "entries": listed,
            "needs": needs,
            "not_run": not_run,
        }
        self.children: dict[str, _Child] = {}
        self.clerk: _Child | None = None
        self.checks: deque[tuple[str, bytes]] = deque()  # single-turn answers; the clerk works on the first
        self.selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Answers until our input ends."""
        gc.collect()
        gc.freeze()  # forked processes then leave these pages shared
        self._say("", self.hello)
        if self.options.listing:
            return
        self.selector.register(0, selectors.EVENT_READ, None)
        arrived = bytearray()
        while True:
            for key, _ in self.selector.select():
                block = os.read(key.fd, 1 << 20)
                if key.data is not None:
                    name, child = key.data
                    self._from_child(name, child, block)
                elif not block:
                    return
                else:
                    arrived += block
                    for line in _lines(arrived):
                        self._from_parent(line)

    def end(self) -> None:
        """Ends every child."""
        for child in [*self.children.values(), *([self.clerk] if self.clerk else [])]:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)

    def _say(self, name: str, message: Any) -> None:
        _write(self.output, name.encode() + b"\t" + json.dumps(message).encode() + b"\n")

    def _from_parent(self, line: bytes) -> None:
        key, _, text = line.partition(b"\t")
        name = key.decode()
        entry = self.entries[name]
        if text.startswith(b'{"open"'):
            if not _interactive(entry.category):
                self._say(name, {"ask": self._first_messages(entry)})
                return
            if is_prerequisite(name):
                bridge.restore_memory(entry.value, entry.before, self.memory)
            self._fork(name, lambda put, get: self._play(entry, put, get))
        elif text.startswith(b'{"stop"'):
            if child := self.children.get(name):
                os.kill(child.pid, signal.SIGKILL)
                self._buried(name, child, json.loads(text)["stop"])
            else:
                self._failed(name, json.loads(text)["stop"])
        elif _interactive(entry.category):
            if child := self.children.get(name):  # else it died meanwhile, which has been said
                _write(child.put, text + b"\n")
        else:
            self.checks.append((name, text))
            if len(self.checks) == 1:
                self._next_check()

    def _next_check(self) -> None:
        if not self.checks:
            return
        if self.clerk is None:
            self._fork("", self._check_answers)
        assert self.clerk is not None
        name, text = self.checks[0]
        _write(self.clerk.put, name.encode() + b"\t" + text + b"\n")

    def _from_child(self, name: str, child: _Child, block: bytes) -> None:
        if child is not self.clerk and self.children.get(name) is not child:
            return  # it was stopped while its output waited
        if not block:
            self._buried(name, child, None)
            return
        child.buffer += block
        for line in _lines(child.buffer):
            sent = name or self.checks[0][0]
            _write(self.output, sent.encode() + b"\t" + line + b"\n")
            if child is self.clerk:
                self.checks.popleft()
                self._next_check()
            elif line.startswith(b'{"done"'):
                self._bury(name, child)

    def _bury(self, name: str, child: _Child) -> int:
        """Takes a child off our lists; returns its wait status."""
        self.selector.unregister(child.get)
        os.close(child.put)
        os.close(child.get)
        if child is self.clerk:
            self.clerk = None
        else:
            del self.children[name]
        return os.waitpid(child.pid, 0)[1]

    def _buried(self, name: str, child: _Child, reason: str | None) -> None:
        """A child ended before its entry was done; `reason` says why if we ended it ourselves."""
        was_clerk = child is self.clerk
        status = self._bury(name, child)
        if was_clerk:
            if self.checks:
                name, _ = self.checks.popleft()
                self._failed(name, reason or cause_of_death(status))
                self._next_check()
        else:
            self._failed(name, reason or cause_of_death(status))

    def _failed(self, name: str, reason: str) -> None:
        self._say(name, {"done": _row(self.entries[name], [reason], 0)})

    def _first_messages(self, entry: _Entry) -> list[dict[str, Any]]:
        """A single-turn prompt's messages: no model text is involved, so no process is needed."""
        asked: list[dict[str, Any]] = []
        value = {"question": [list(entry.value["question"][0])], "function": entry.value["function"]}
        made = bridge.handler(self.options.style, lambda messages: "")
        data = made._pre_query_processing_prompting(value)
        asked.extend(made.add_first_turn_message_prompting(data, value["question"][0])["message"])
        return asked

    def _fork(self, name: str, work: Callable[[int, int], None]) -> None:
        """Starts a process that runs `work(its output, its input)` under the limits."""
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(0)
                os.close(self.output)
                os.close(in_write)
                os.close(out_read)
                for other in [*self.children.values(), *([self.clerk] if self.clerk else [])]:
                    os.close(other.put)
                    os.close(other.get)
                limit_memory(self.options.memory_mib)
                work(out_write, in_read)
                code = 0
            except BaseException as error:
                with contextlib.suppress(Exception):
                    print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        os.close(in_read)
        os.close(out_write)
        child = _Child(pid, in_write, out_read)
        if name:
            self.children[name] = child
        else:
            self.clerk = child
        self.selector.register(out_read, selectors.EVENT_READ, (name, child))

    def _play(self, entry: _Entry, put: int, get: int) -> None:
        """In a child: plays and judges one multi-turn or agentic entry."""
        if self.network and entry.category not in WEB_SEARCH:
            lock(network=False)
        wall = _WEB_WALL if entry.category in WEB_SEARCH else _WALL
        watchdog = Watchdog(self.options.call_seconds, wall)
        incoming = _Incoming(get)
        sent = 0

        def ask(messages: list[dict[str, Any]]) -> str:
            nonlocal sent
            watchdog.rest()
            _send(put, {"ask": messages[sent:]})
            sent = len(messages)
            text = str(json.loads(incoming.line())["text"])
            watchdog.arm()
            return text

        bridge.use_executor(Executor(watchdog.arm))
        made = bridge.handler(self.options.style, ask)
        kept = bridge.untouched(entry.value)
        reasons: list[str] = []
        try:
            watchdog.arm()
            result, _ = made.inference(entry.value, False, True)
            refused = list(made.refused)
            if not is_prerequisite(kept["id"]):
                reasons = _judge(made, kept, entry, result, self.options.unclosed)
                if reasons and refused:
                    reasons.append(f"refused: {len(refused)} answers ({', '.join(sorted(set(refused)))})")
        except LimitReached as error:
            reasons = [str(error)]
        watchdog.rest()
        _send(put, {"done": _row(entry, reasons, made.unclosed, kept["question"])})

    def _check_answers(self, put: int, get: int) -> None:
        """In a child: judges single-turn answers, one after another."""
        watchdog = Watchdog(self.options.call_seconds, _WALL)
        incoming = _Incoming(get)
        while line := incoming.line(may_end=True):
            watchdog.arm()
            key, _, text = line.partition(b"\t")
            entry = self.entries[key.decode()]
            made = bridge.handler(self.options.style, lambda messages: "")
            answer = made._parse_query_response_prompting(str(json.loads(text)["text"]))["model_responses"]
            kept = bridge.untouched(entry.value)
            reasons = _judge(made, kept, entry, answer, self.options.unclosed)
            watchdog.rest()
            _send(put, {"done": _row(entry, reasons, made.unclosed)})


def _interactive(category: str) -> bool:
    """Whether entries take several completions and call functions."""
    return category.startswith(("multi_turn", "memory", "web_search"))


def _judge(
    made: Any, kept: dict[str, Any], entry: _Entry, result: Any, unclosed: bridge.Unclosed
) -> list[str]:
    try:
        return bridge.judge(made, kept, entry.category, result, entry.truth, entry.functions, unclosed)
    except Exception as error:  # a checker that trips over an answer must not count for it
        return [f"checker: {type(error).__name__}: {one_line(error)}"]


def _row(entry: _Entry, reasons: list[str], unclosed: int, question: Any = None) -> dict[str, Any]:
    value = entry.value
    return {
        "id": value["id"],
        "category": entry.category,
        "right": not reasons,
        "reasons": reasons,
        "gold": entry.truth,
        "question": value["question"] if question is None else question,
        "unclosed": unclosed,
    }


class _Incoming:
    """Lines from a pipe."""

    def __init__(self, source: int) -> None:
        self._source, self._buffer = source, bytearray()

    def line(self, may_end: bool = False) -> bytes:
        """The next line; empty at the end if that may come.

        Raises:
            EOFError: our parent is gone.
        """
        while True:
            for line in _lines(self._buffer, 1):
                return line
            block = os.read(self._source, 1 << 20)
            if not block:
                if may_end:
                    return b""
                raise EOFError("the host is gone")
            self._buffer += block


def _lines(buffer: bytearray, most: int | None = None) -> list[bytes]:
    """Takes whole lines off a buffer."""
    found: list[bytes] = []
    while most is None or len(found) < most:
        end = buffer.find(b"\n")
        if end < 0:
            break
        found.append(bytes(buffer[:end]))
        del buffer[: end + 1]
    return found


def _send(put: int, message: Any) -> None:
    _write(put, json.dumps(message).encode() + b"\n")


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(target, view) :]
    except BrokenPipeError:  # the reader is gone; reading from it says so
        pass


def main(arguments: list[str]) -> NoReturn:
    """Serves entries until the process that started us is gone."""
    value = json.loads(arguments[0])
    options = HostOptions(**{**value, "categories": tuple(value["categories"])})
    output = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # bfcl-eval prints as it goes
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    host = Host(options, output)
    try:
        host.serve()
    finally:
        host.end()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
