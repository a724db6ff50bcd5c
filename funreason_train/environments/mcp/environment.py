"""An MCP server behind the protocol of environments: `mcp/NAME`."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...calls import Call
from ...errors import UserError
from ..protocol import Environment, Result, brief
from ..registry import register_family
from . import policy
from .answers import counts_none, failed_in_part, found_nothing, made_nothing
from .cassette import Cassette, Recorded, read_learnt
from .folders import known_paths
from .pool import Pool
from .renaming import drawn_ids, nameless, timeless
from .servers import SESSION, Server, SessionRules, described_servers, server_of

if TYPE_CHECKING:
    from mcp_types import Tool

PREFIX = "mcp/"
KNOWN = "known"
"""The key of a configuration that holds what a user may know and say; nothing is made of it."""


class _Session(Protocol):
    """What an environment needs of a session, live, recorded or played back."""

    fault: str | None

    @property
    def said(self) -> str: ...

    @property
    def tools(self) -> list[Tool]: ...

    def know(self, forms: frozenset[str]) -> None: ...

    def call(self, name: str, arguments: dict[str, Any], look: bool = False) -> Result: ...

    def close(self) -> None: ...


class _Offer:
    """A server's tools as they are offered.

    Args:
        name: The environment's.
        tools: As the server listed them.
        rules: Which of them may be called.

    Raises:
        UserError: The rules name what is not there, or no tool may be called.
    """

    def __init__(self, name: str, tools: list[Tool], rules: SessionRules) -> None:
        if unknown := policy.unknown_names(tools, rules):
            raise UserError(f"the description of {name} does not fit: {unknown[0]}")
        self.left_out = policy.left_out(tools, rules)
        offered = policy.offered(tools, rules)
        if not offered:
            out = "; ".join(f"{one} ({why})" for one, why in list(self.left_out.items())[:3])
            told = f": {out}" if out else ""
            raise UserError(f"the MCP server of {name} offers no tool that may be called{told}")
        self.names = policy.names(offered)
        shown = {original: spelt for spelt, original in self.names.items()}
        self.arguments = {shown[tool.name]: policy.argument_names(tool) for tool in offered}
        self.documents = policy.documents(offered, rules)
        self.only_reads = all(policy.reads_only(tool) for tool in offered)
        self.looking_up = {shown[tool.name] for tool in offered if policy.asks(tool)}
        self.making = {shown[tool.name] for tool in offered if policy.makes(tool)}
        self.usual = {shown[tool.name]: policy.defaults(tool) for tool in offered}
        self.observing = [tool.name for tool in offered if policy.may_observe(tool)]


class McpEnvironment(Environment):
    """One server's tools; each `reset` is a session that nobody has used.

    The state of a server cannot be asked for, so what stands for it are the answers of tools that only read
    and that need no argument, and what stands in the session's folder (`session.observe`).

    Attributes:
        server: The description.
        opener: Opens a session and says how it is let go.
        cassette: What answers in place of the server; None where there is a server.
        fault: Why the server, not the caller, has failed; the conversation then counts for nothing.
    """

    server: ClassVar[Server]
    opener: ClassVar[Callable[[], tuple[Any, Callable[[], None]]]]
    cassette: ClassVar[Cassette | None] = None
    _offered: ClassVar[_Offer | None] = None
    _digests: ClassVar[dict[str, str] | None] = None
    _unsteady: ClassVar[frozenset[str]] = frozenset()
    _ids: ClassVar[frozenset[str]] = frozenset()  # forms of ids that it draws at random

    def __init__(self) -> None:
        self._session: _Session | None = None
        self._let_go: Callable[[], None] = lambda: None
        self._called = False  # whether anything was, in this session
        self.fault: str | None = None

    def reset(self, config: Mapping[str, Any]) -> None:
        """Takes a new session.

        Raises:
            ValueError: The configuration holds more than what a user knows (`known`): the state of a server
                is the server's own.
            UserError: The server does not start, offers no tool, or no longer offers the same tools.
        """
        if config.keys() - {KNOWN}:
            raise ValueError(
                f"{self.name} takes no configuration; its state is what session.files and reset make"
            )
        self.close()
        self.fault, self._called = None, False
        try:
            session, self._let_go = self._opened_again()
            self._session = session
            session.know(type(self)._ids)
            self._take(session.tools)
        except UserError as error:  # the server's doing, wherever it comes up
            self.close()
            self.fault = str(error)
            raise

    def tools(self) -> list[dict[str, Any]]:
        """The documents of the tools that may be called; the first call starts a session to ask.

        Raises:
            UserError: The server does not start, or offers no tool.
        """
        return copy.deepcopy(self._offer().documents)

    def left_out(self) -> dict[str, str]:
        """The tools that the server has and that are not offered, each with the reason."""
        return dict(self._offer().left_out)

    def call(self, call: Call) -> Result:
        """Executes one call in the session.

        A call that looks something up by arguments and finds nothing has failed: what it was asked for is not
        there, and nobody learns from it how to ask. So has one that was to make something and lists nothing,
        and one over several things that reports an error for one of them.
        """
        offer = self._offer()
        if (original := offer.names.get(call.name)) is None:
            return Result(f"Error: there is no tool {call.name}", False)
        own, self._called = offer.arguments[call.name], True
        result = self._ask(original, {own.get(name, name): value for name, value in call.arguments.items()})
        if not (result.ok and call.arguments):
            return result
        name, given, usual = call.name, call.arguments, offer.usual[call.name]
        vain = (name in offer.looking_up or counts_none(result)) and found_nothing(result, given, usual)
        vain = vain or (name in offer.making and made_nothing(result)) or failed_in_part(result, given)
        return Result(result.text, False, result.value) if vain else result

    def snapshot(self) -> Any:
        """The observing tools' answers, by name, and the session's folder; nothing where all tools only read.

        What an observer refuses after some calls is what it shows then.

        Raises:
            ValueError: No tool shows the state, and `session.observe` does not say that there is none; or one
                of those failed before anything was called, or since the server has failed.
        """
        state: dict[str, Any] = {}
        for name in self.observers():
            result = self._ask(name, {}, look=True)
            if not result.ok and (self.fault or not self._called):
                raise ValueError(
                    f"the state of {self.name} cannot be read: {name} failed ({result.text[:200]})"
                )
            if name == SESSION:
                state[name] = self.settled(result.value)
            else:
                state[name] = timeless(result.text if result.value is None else result.value)
        if not state and self.server.session.observe is None and not self._offer().only_reads:
            raise ValueError(
                f"the state of {self.name} cannot be read: no tool that only reads works without arguments"
                f"{self._why_not()}; "
                "name some in session.observe of its description, or give the server a folder with {session} "
                'or, if it keeps nothing between calls, as a calculator, write "observe": []'
            )
        return nameless(state, type(self)._ids)

    def _why_not(self) -> str:
        """What the first of the tools that only read said, where it has failed."""
        for name in self._offer().observing[:1]:
            if not (result := self._ask(name, {}, look=True)).ok:
                return f" ({name} answers: {brief(result.text)})"
        return ""

    def look(self, name: str) -> Result:
        """What an observer answers, with random ids numbered: in two sessions alike."""
        result = self._ask(name, {}, look=True)
        text, value = (nameless(one, type(self)._ids) for one in (result.text, result.value))
        return Result(text, result.ok, value)

    @property
    def said(self) -> str:
        """The last answer as the server wrote it, where a model reads other ids and times (`renaming`)."""
        return self._session.said if self._session is not None else ""

    def observers(self) -> list[str]:
        """The server's names of the tools whose answers stand for the state; `{session}` is its folder."""
        chosen = self.server.session.observe
        if chosen is not None:
            return list(chosen)
        return [
            name
            for name in [*self._offer().observing, *([SESSION] if self.server.knows_folder else [])]
            if name not in type(self)._unsteady
        ]

    def own_names(self) -> dict[str, str]:
        """The names under which tools are offered -> the server's own."""
        return dict(self._offer().names)

    @classmethod
    def settled(cls, files: Mapping[str, Any]) -> dict[str, Any]:
        """What stands in the session's folder, without the files that are no part of the state."""
        return {path: one for path, one in files.items() if in_folder(path) not in cls._unsteady}

    def close(self) -> None:
        """Ends the session and its process."""
        if self._session is not None:
            self._session, let_go = None, self._let_go
            let_go()

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """The one configuration there is: the server's own first state, and what a user knows of it."""
        if not cls.server.knows_folder:
            return {}
        return {KNOWN: known_paths(cls.server.home, cls.server.session.files)}

    @classmethod
    def learnt(cls) -> dict[str, Any]:
        """What was found out of the server, as JSON values, for other processes and later runs."""
        return {"unsteady": sorted(cls._unsteady), "tools": cls._digests, "ids": sorted(cls._ids)}

    @classmethod
    def adopt(cls, learnt: Mapping[str, Any]) -> None:
        """Takes over what `learnt` said; a server whose tools are others by now is then refused."""
        cls._unsteady = frozenset(learnt["unsteady"])
        cls._digests, cls._ids = learnt["tools"], frozenset(learnt.get("ids", ()))

    @classmethod
    def learn_ids(cls, first: str, second: str) -> bool | None:
        """Learns of forms of ids that are drawn, from two answers to a call that differ in such alone.

        From now on the same is shown for them in every session.

        Returns:
            Whether there are such; None if their forms were known.
        """
        found = drawn_ids(first, second, cls._ids)
        new = found - cls._ids
        cls._ids |= new
        return bool(new) if new or not found else None

    @classmethod
    def forget(cls, observers: Iterable[str]) -> None:
        """From now on the answers of these tools, or these files of the folder, are no part of the state."""
        cls._unsteady |= frozenset(observers)

    def _take(self, tools: list[Tool]) -> None:
        """Keeps the tools of the first session; of later ones, checks that they are still there.

        A tool that comes later is no reason to stop: servers add some once a client has connected.
        """
        kind, rules = type(self), self.server.session
        digests = {tool.name: _digest(tool) for tool in reversed(tools)}
        if kind._digests is not None:
            kept = kind._digests.items()
            if others := sorted(name for name, digest in kept if digests.get(name) != digest):
                gone = "no longer offers" if others[0] not in digests else "now describes in another way"
                raise UserError(
                    f"the MCP server of {self.name} has changed its tools while it was used: it {gone} "
                    f"{', '.join(others[:3])}",
                    fix="Start again with another out=DIR, once its tools no longer change",
                )
        if kind._offered is None:
            known = tools if kind._digests is None else [one for one in tools if one.name in kind._digests]
            kind._offered = _Offer(self.name, known, rules)
            kind._digests = {one.name: digests[one.name] for one in known}

    def _opened_again(self) -> tuple[Any, Callable[[], None]]:
        """A session; a server that has started before may fail to once, on a machine that is busy."""
        kind = type(self)
        if kind._offered is None or kind.cassette is not None:
            return kind.opener()
        try:
            return kind.opener()
        except UserError:
            return kind.opener()

    def _offer(self) -> _Offer:
        if type(self)._offered is None:
            self.reset({})
        assert self._offered is not None
        return self._offered

    def _ask(self, name: str, arguments: dict[str, Any], look: bool = False) -> Result:
        if self._session is None:
            self.reset({})
        assert self._session is not None
        result = self._session.call(name, arguments, look)
        self.fault = self.fault or self._session.fault
        return result


def load_servers(file: Path, record: Path | None = None, replay: Path | None = None) -> None:
    """Makes the servers of a file environments, `mcp/NAME` each; one is looked at when it is asked for.

    Args:
        file: See `servers`.
        record: A folder; every session of the server NAME is appended to NAME.jsonl there.
        replay: A folder of such files; they answer, and no server is started.

    Raises:
        UserError: The file cannot be read.
    """
    described = described_servers(file)

    def find(name: str) -> type[Environment]:
        own = name.removeprefix(PREFIX)
        if own not in described:
            known = ", ".join(f"{PREFIX}{one}" for one in described)
            raise UserError(f"there is no MCP server {name}", fix=f"{file} has {known}")
        server = server_of(own, described[own], file)
        return _kind(own, server.home, server.model_dump_json(by_alias=True), record, replay)

    register_family(PREFIX, find)


@lru_cache(maxsize=256)
def _kind(
    name: str, home: Path, described: str, record: Path | None, replay: Path | None
) -> type[McpEnvironment]:
    """The class of a server; the same description gives the same class, with the sessions that it has."""
    server = Server.model_validate_json(described).model_copy(update={"home": home})
    learnt: dict[str, Any] | None = None
    cassette: Cassette | None = None
    if replay is not None:
        cassette = tape = Cassette(replay / f"{name}.jsonl")
        learnt = read_learnt(replay, name)
        opener: Callable[[], tuple[Any, Callable[[], None]]] = lambda: _opened(tape.play())  # noqa: E731
    else:
        pools: dict[int, Pool] = {}  # a forked process has its own

        def opener() -> tuple[Any, Callable[[], None]]:
            if (pool := pools.get(os.getpid())) is None:
                pool = pools[os.getpid()] = Pool(name, server)
            session = pool.take()
            if record is None:
                return session, lambda: pool.give_back(session)
            recorded = Recorded(session, record / f"{name}.jsonl")

            def let_go() -> None:
                recorded.close()
                pool.give_back(session)

            return recorded, let_go

    attributes = {
        "name": f"{PREFIX}{name}",
        "server": server,
        "opener": staticmethod(opener),
        "cassette": cassette,
        "__doc__": McpEnvironment.__doc__,
    }
    kind: type[McpEnvironment] = type(f"Mcp_{name}", (McpEnvironment,), attributes)
    if learnt is not None:
        kind.adopt(learnt)
    return kind


def _opened(session: Any) -> tuple[Any, Callable[[], None]]:
    return session, session.close


def _digest(tool: Tool) -> str:
    plain = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def in_folder(path: str) -> str:
    """How a file of the session's folder is named among observers."""
    return f"{SESSION}/{path}"
