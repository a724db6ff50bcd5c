"""An MCP server behind the protocol of environments: `mcp/NAME`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...calls import Call
from ...errors import UserError
from ..protocol import Environment, Result
from ..registry import register_family
from . import policy
from .cassette import Cassette, Recorded
from .pool import Pool
from .servers import Server, read_servers

if TYPE_CHECKING:
    from mcp_types import Tool

PREFIX = "mcp/"


class _Session(Protocol):
    """What an environment needs of a session, live, recorded or played back."""

    fault: str | None

    @property
    def tools(self) -> list[Tool]: ...

    def call(self, name: str, arguments: dict[str, Any]) -> Result: ...

    def close(self) -> None: ...


class McpEnvironment(Environment):
    """One server's tools; each `reset` is a session that nobody has used.

    The state of a server cannot be asked for, so what stands for it are the answers of tools that only read
    and that need no argument (`session.observe`).

    Attributes:
        server: The description.
        opener: Opens a session and says how it is let go.
        fault: Why the server, not the caller, has failed; the conversation then counts for nothing.
    """

    server: ClassVar[Server]
    opener: ClassVar[Callable[[], tuple[Any, Callable[[], None]]]]
    _listed: ClassVar[list[Any] | None] = None
    _unsteady: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._session: _Session | None = None
        self._let_go: Callable[[], None] = lambda: None
        self.fault: str | None = None

    def reset(self, config: Mapping[str, Any]) -> None:
        """Takes a new session.

        Raises:
            ValueError: The configuration is not empty: the state of a server is the server's own.
            UserError: The server does not start, or it offers other tools than before.
        """
        if config:
            raise ValueError(
                f"{self.name} takes no configuration; its state is what session.files and reset make"
            )
        self.close()
        self.fault = None
        session, self._let_go = type(self).opener()
        self._session = session
        listed = policy.offered(session.tools, self.server.session)
        if type(self)._listed is None:
            type(self)._listed = listed
        elif _digest(listed) != _digest(type(self)._listed or []):
            self.close()
            raise UserError(
                f"the MCP server of {self.name} has changed its tools while it was used",
                fix="Start again, once its tools no longer change.",
            )

    def tools(self) -> list[dict[str, Any]]:
        """The documents of the tools that may be called; the first call starts a session to ask.

        Raises:
            UserError: The server does not start.
        """
        return policy.documents(self._offered())

    def call(self, call: Call) -> Result:
        """Executes one call in the session."""
        original = policy.names(self._offered()).get(call.name)
        if original is None:
            return Result(f"Error: there is no tool {call.name}", False)
        return self._ask(original, dict(call.arguments))

    def snapshot(self) -> Any:
        """The observing tools' answers, by name.

        Raises:
            ValueError: No tool shows the state, or one of those failed.
        """
        state = {}
        for name in self.observers():
            result = self._ask(name, {})
            if not result.ok:
                raise ValueError(
                    f"the state of {self.name} cannot be read: {name} failed ({result.text[:200]})"
                )
            state[name] = result.text if result.value is None else result.value
        if not state:
            raise ValueError(
                f"the state of {self.name} cannot be read: no tool that only reads works without arguments; "
                "name some in session.observe"
            )
        return state

    def observers(self) -> list[str]:
        """The server's names of the tools whose answers stand for the state."""
        chosen = self.server.session.observe
        if chosen is not None:
            return list(chosen)
        return [
            tool.name
            for tool in self._offered()
            if policy.reads_only(tool)
            and not (tool.input_schema or {}).get("required")
            and tool.name not in type(self)._unsteady
        ]

    def close(self) -> None:
        """Ends the session and its process."""
        if self._session is not None:
            self._session, let_go = None, self._let_go
            let_go()

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """The one configuration there is: the server's own first state."""
        return {}

    def _offered(self) -> list[Tool]:
        if type(self)._listed is None:
            self.reset({})
        return type(self)._listed or []

    def _ask(self, name: str, arguments: dict[str, Any]) -> Result:
        if self._session is None:
            self.reset({})
        assert self._session is not None
        result = self._session.call(name, arguments)
        self.fault = self.fault or self._session.fault
        return result


def load_servers(file: Path, record: Path | None = None, replay: Path | None = None) -> dict[str, Server]:
    """Makes the servers of a file environments, `mcp/NAME` each.

    Args:
        file: See `servers`.
        record: A folder; every session of the server NAME is appended to NAME.jsonl there.
        replay: A folder of such files; they answer, and no server is started.

    Returns:
        The servers by their names.

    Raises:
        UserError: The file or a cassette cannot be read.
    """
    servers = read_servers(file)
    kinds = {f"{PREFIX}{name}": _kind(name, server, record, replay) for name, server in servers.items()}

    def find(name: str) -> type[Environment]:
        if name not in kinds:
            raise UserError(f"there is no MCP server {name}", fix=f"{file} has {', '.join(kinds)}.")
        return kinds[name]

    register_family(PREFIX, find)
    return servers


def _kind(name: str, server: Server, record: Path | None, replay: Path | None) -> type[McpEnvironment]:
    if replay is not None:
        cassette = Cassette(replay / f"{name}.jsonl")
        opener: Callable[[], tuple[Any, Callable[[], None]]] = lambda: _opened(cassette.play())  # noqa: E731
    else:
        pools: dict[int, Pool] = {}

        def opener() -> tuple[Any, Callable[[], None]]:
            pool = pools.setdefault(os.getpid(), Pool(name, server))
            session = pool.take()
            if record is None:
                return session, lambda: pool.give_back(session)
            record.mkdir(parents=True, exist_ok=True)
            recorded = Recorded(session, record / f"{name}.jsonl")

            def let_go() -> None:
                recorded.close()
                pool.give_back(session)

            return recorded, let_go

    attributes = {
        "name": f"{PREFIX}{name}",
        "server": server,
        "opener": staticmethod(opener),
        "__doc__": McpEnvironment.__doc__,
    }
    return type(f"Mcp_{name}", (McpEnvironment,), attributes)


def _opened(session: Any) -> tuple[Any, Callable[[], None]]:
    return session, session.close


def _digest(tools: list[Any]) -> str:
    plain = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
