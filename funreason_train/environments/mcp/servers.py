"""The `mcpServers` JSON: which servers there are, how each is started, and what may be asked of it.

    {"mcpServers": {"shop": {"command": "python", "args": ["shop.py", "--db", "{session}/shop.db"],
                             "env": {"TOKEN": "${SHOP_TOKEN}"},
                             "session": {"files": ["shop.db"], "allow": ["delete_order"]}},
                    "wiki": {"url": "https://…/mcp", "headers": {…}, "session": {"reset": "reset_all"}}}}

`command`, `args`, `env`, `cwd`, `url` and `headers` are what every MCP client reads; `session` is this
project's. `{session}` stands for the folder of the session, `${NAME}` for a variable of the environment, so
that no secret has to be written down. Models know the folder as `/session` (`folders.ALIAS`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import UserError
from ...run.fingerprint import digests, fingerprint

SESSION = "{session}"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH(?!ORS?(?![A-Z]))|CREDENTIAL|COOKIE", re.IGNORECASE)
_SHORTEST_SECRET = 6  # characters; a shorter value stands in answers by chance


class SessionRules(BaseModel):
    """What a conversation may do with a server, and how it gets a state of its own.

    Attributes:
        files: Files or folders that are copied into each session's folder before the server starts.
        reset: A tool that brings the server back to its first state; for servers that several sessions share.
        allow: Tools marked as destructive that may be called all the same.
        leave_out: Tools that are not to be called.
        examples: Tool -> arguments that it can be called with, for what nobody can guess, such as a query.
        observe: What the state is: tools without required parameters whose answers show it, and `{session}`
            for what stands in the session's folder. None: the tools that only read, and the folder if the
            server is told of it.
        seconds: How long a call may take.
        start_seconds: How long the server may take to start and to list its tools.
        most_characters: The longest answer; a longer one is a failed call.
        ready: Sessions that are kept started for the next conversations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[str, ...] = ()
    reset: str | None = None
    allow: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    examples: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    observe: tuple[str, ...] | None = None
    seconds: float = Field(default=20.0, gt=0)
    start_seconds: float = Field(default=60.0, gt=0)
    most_characters: int = Field(default=100_000, gt=0)
    ready: int = Field(default=2, ge=0, le=64)


class Server(BaseModel):
    """One server of the file.

    Attributes:
        command: The program, for stdio.
        args: Its arguments.
        env: Variables besides the few that the MCP SDK hands on (PATH, HOME, …).
        cwd: Its working directory; None: the folder of the file.
        url: The address, for streamable HTTP.
        headers: Sent with each request.
        session: This project's rules.
        home: The folder of the file, which relative paths start from.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    session: SessionRules = SessionRules()
    home: Path = Path()

    @model_validator(mode="after")
    def _one_transport(self) -> Server:
        if (self.command is None) == (self.url is None):
            raise ValueError("either `command` (stdio) or `url` (streamable HTTP) is needed, not both")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"the url {self.url} does not begin with http:// or https://")
        if self.url is not None and self.session.files:
            raise ValueError("session.files are for servers that are started here (`command`)")
        if self.url is not None and SESSION in (self.session.observe or ()):
            raise ValueError("session.observe: {session} is for servers that are started here (`command`)")
        if self.command is not None and not self.command.strip():
            raise ValueError("`command` is empty")
        return self

    def filled(self, folder: Path) -> Server:
        """With the session's folder and the environment's variables in their places.

        Raises:
            UserError: A variable is not set.
        """

        def fill(text: str) -> str:
            return _VARIABLE.sub(_value, text).replace(SESSION, str(folder))

        return self.model_copy(
            update={
                "command": None if self.command is None else fill(self.command),
                "args": tuple(map(fill, self.args)),
                "env": {name: fill(value) for name, value in self.env.items()},
                "cwd": fill(self.cwd) if self.cwd else str(self.home),
                "url": None if self.url is None else fill(self.url),
                "headers": {name: fill(value) for name, value in self.headers.items()},
            }
        )

    @property
    def knows_folder(self) -> bool:
        """Whether the server is told of the session's folder."""
        texts = (self.command, self.cwd, *self.args, *self.env.values())
        return self.url is None and (
            bool(self.session.files) or any(SESSION in text for text in texts if text is not None)
        )

    def hidden(self) -> dict[str, str]:
        """Name -> value of what no answer may show: variables that it names, keys, and the search path."""
        found: dict[str, str] = {}
        for text in (*self.args, *self.env.values(), *self.headers.values(), self.url or ""):
            found.update((name, os.environ.get(name, "")) for name in _VARIABLE.findall(text))
        for name, value in (*self.env.items(), *self.headers.items()):
            if _SECRET_NAME.search(name):
                found[name] = _VARIABLE.sub(lambda match: os.environ.get(match[1], ""), value)
        if self.command is not None:
            found["PATH"] = self.env.get("PATH", os.environ.get("PATH", ""))
        return {name: value for name, value in found.items() if len(value) >= _SHORTEST_SECRET}

    def digest(self) -> str:
        """A hash of how the server is described and of its files; of variables the names, not the values."""
        plain = self.model_dump(mode="json", exclude={"home"})
        files = digests(self.home / name for name in self.session.files)
        return fingerprint(plain, {os.path.relpath(path, self.home): one for path, one in files.items()})


def _value(match: re.Match[str]) -> str:
    name = match[1]
    if name not in os.environ:
        raise UserError(f"the variable {name}, which the MCP server's description names, is not set")
    return os.environ[name]


def read_servers(file: Path) -> dict[str, Server]:
    """The servers of a file by their names.

    Raises:
        UserError: The file cannot be read, is no `mcpServers` JSON, or describes a server wrongly.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"the file of MCP servers cannot be read ({error.strerror})", where=str(file)
        ) from None
    except ValueError as error:
        raise UserError(f"the file of MCP servers is not JSON ({error})", where=str(file)) from None
    servers = found.get("mcpServers") if isinstance(found, Mapping) else None
    if not isinstance(servers, Mapping) or not servers:
        raise UserError(
            "there are no MCP servers in this file",
            where=str(file),
            fix='Write {"mcpServers": {"NAME": {"command": "…", "args": […]}}}, as for any MCP client.',
        )
    return {str(name): _server(str(name), described, file) for name, described in servers.items()}


def _server(name: str, described: Any, file: Path) -> Server:
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(
            f"'{name}' cannot name an MCP server", where=str(file), fix="Use letters, digits, . _ and -"
        )
    try:
        server = Server.model_validate(described)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("mcpServers", name, *first["loc"])))
        raise UserError(f"{place}: {first['msg'].removeprefix('Value error, ')}", where=str(file)) from None
    return server.model_copy(update={"home": file.absolute().parent})
