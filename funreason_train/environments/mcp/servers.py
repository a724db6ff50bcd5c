"""The `mcpServers` JSON: which servers there are, how each is started, and what may be asked of it.

    {"mcpServers": {"shop": {"command": "python", "args": ["shop.py", "--db", "{session}/shop.db"],
                             "env": {"TOKEN": "${SHOP_TOKEN}"},
                             "session": {"files": ["shop.db"], "allow": ["delete_order"]}},
                    "wiki": {"url": "https://…/mcp", "headers": {…}, "session": {"reset": "reset_all"}}}}

`command`, `args`, `env`, `cwd`, `url` and `headers` are what every MCP client reads; `session` is this
project's. `{session}` stands for the folder of the session, `${NAME}` for a variable of the environment, so
that no secret has to be written down. Models know the folder as `/session` (`folders.ALIAS`).

Other clients' dialects are read as well: comments and commas at ends, `servers` for `mcpServers`, `type`,
`httpUrl` and `serverUrl` for `url`, `${env:NAME}` and `${NAME:-otherwise}`. What they say and what is not
done here (SSE, a value that a client asks its user for, a server that is disabled) is refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import UserError
from ...run.fingerprint import digests, fingerprint
from .folders import ALIAS

SESSION = "{session}"
HOME: Final = "/server-home"
"""How calls and answers name the folder of the file, which servers start in unless `cwd` says otherwise."""

_OWN_PATH = 3  # parts from which on a path is somebody's own, and not `/` or `/srv`
_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}")
_ASKED = re.compile(r"\$\{(?!env:)\w+:(?!-)[^{}]*\}")  # as `${input:key}`, which an editor asks its user for
_WEB: Final = ("http://", "https://", "${")
_TYPES: Final = ("stdio", "http", "streamable-http", "streamablehttp", "streamable_http")
#: Where files keep their servers: most clients, editors, editors' settings.
_PLACES: Final = (("mcpServers",), ("servers",), ("mcp", "servers"), ("context_servers",))
#: A text, a comment, or a comma before an end, of what is JSON but for the last two.
_BESIDE_JSON = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
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
    seconds: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    start_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
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
    url: str | None = Field(
        default=None, validation_alias=AliasChoices("url", "httpUrl", "serverUrl"), serialization_alias="url"
    )
    headers: dict[str, str] = Field(default_factory=dict)
    session: SessionRules = SessionRules()
    home: Path = Path()

    @model_validator(mode="after")
    def _one_transport(self) -> Server:
        if (self.command is None) == (self.url is None):
            raise ValueError("either `command` (stdio) or `url` (streamable HTTP) is needed, not both")
        if self.url is not None and not self.url.startswith(_WEB):
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
            UserError: A variable is not set, or a value is one that only an editor could ask for.
        """

        def fill(text: str) -> str:
            if asked := _ASKED.search(text):
                raise UserError(
                    f"the MCP server's description holds {asked[0]}, which only the client that it was "
                    "written for can fill",
                    fix="Write ${NAME} there, and give the variable NAME in the environment",
                )
            return _VARIABLE.sub(_value, text).replace(SESSION, str(folder))

        return self.model_copy(
            update={
                "command": None if self.command is None else os.path.expanduser(fill(self.command)),
                "args": tuple(map(fill, self.args)),
                "env": {name: fill(value) for name, value in self.env.items()},
                "cwd": str(self.home / os.path.expanduser(fill(self.cwd or ""))),
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

    def aliases(self, folder: Path) -> dict[str, str]:
        """What stands in answers -> what a model reads instead: nobody's rows need the paths of a machine.

        Args:
            folder: Of the session.
        """
        found = {str(folder): ALIAS, folder.name: ALIAS[1:]} if self.knows_folder else {}
        if self.command is not None and self.home.is_absolute() and len(self.home.parts) >= _OWN_PATH:
            found[str(self.home)] = HOME
        return found

    def hidden(self) -> dict[str, str]:
        """Name -> value of what no answer may show: variables that it names, keys, and the search path."""
        found: dict[str, str] = {}
        for text in (*self.args, *self.env.values(), *self.headers.values(), self.url or ""):
            found.update((name, os.environ.get(name, "")) for name, _ in _VARIABLE.findall(text))
        for name, value in (*self.env.items(), *self.headers.items()):
            if _SECRET_NAME.search(name):
                found[name] = _VARIABLE.sub(lambda match: os.environ.get(match[1], match[2] or ""), value)
        if self.command is not None:
            found["PATH"] = self.env.get("PATH", os.environ.get("PATH", ""))
        return {name: value for name, value in found.items() if len(value) >= _SHORTEST_SECRET}

    def digest(self) -> str:
        """A hash of how the server is described and of its files; of variables the names, not the values."""
        plain = self.model_dump(mode="json", exclude={"home"})
        files = digests(self.home / name for name in self.session.files)
        return fingerprint(plain, {os.path.relpath(path, self.home): one for path, one in files.items()})


class Unusable(Exception):
    """What makes a server unusable, as a sentence."""


def ending_with_us(words: list[str], server: Server) -> list[str]:
    """The command, so that the server ends when this process is killed: one that hangs would not notice.

    Raises:
        Unusable: the program cannot be found.
    """
    path = (server.env or {}).get("PATH", os.environ.get("PATH"))
    place = words[0] if "/" in words[0] else shutil.which(words[0], path=path)
    if not (folder := Path(server.cwd or ".")).is_dir():
        raise Unusable(f"its `cwd` {folder} is no folder")
    if place is not None and not (folder / place).is_file() and (server.home / place).is_file():
        place = str(server.home.absolute() / place)  # like all paths of the file, whatever `cwd` is
    if place is None or not (folder / place).is_file():
        apart = "; `command` is the program alone, and its words stand in `args`" if " " in words[0] else ""
        where = f" in {server.home.absolute()}, the folder of the file" if place and "/" in place else ""
        where = "" if os.path.isabs(words[0]) else where
        raise Unusable(f"there is no program {words[0]}{where}{apart}")
    if not os.access(folder / place, os.X_OK):
        raise Unusable(f"{words[0]} may not be executed; name the program that runs it in `command`")
    if "\0" in "".join(words) or any("\0" in one or "=" in name for name, one in server.env.items()):
        raise Unusable("its `args` or `env` hold what no program can be given (a zero byte, a name with =)")
    wrapper = shutil.which("setpriv")  # of util-linux
    return (
        [place, *words[1:]] if wrapper is None else [wrapper, "--pdeathsig", "KILL", "--", place, *words[1:]]
    )


def _value(match: re.Match[str]) -> str:
    name, otherwise = match[1], match[2]
    if name in os.environ:
        return os.environ[name]
    if otherwise is None:
        raise UserError(f"the variable {name}, which the MCP server's description names, is not set")
    return otherwise


def read_servers(file: Path, only: Iterable[str] | None = None) -> dict[str, Server]:
    """The servers of a file by their names.

    Args:
        file: As MCP clients have it.
        only: The names that are asked for, so that what is wrong with others does no harm; None for all.

    Raises:
        UserError: The file cannot be read, is no `mcpServers` JSON, or describes a server wrongly.
    """
    described = described_servers(file)
    chosen = described if only is None else [name for name in only if name in described]
    return {name: server_of(name, described[name], file) for name in chosen}


def described_servers(file: Path) -> dict[str, Any]:
    """What a file says of each server, by its name and unchecked.

    Raises:
        UserError: The file cannot be read, or names no servers.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        plain = _BESIDE_JSON.sub(lambda match: match[0] if match[0][0] == '"' else " ", text)
        found = json.loads(plain, object_pairs_hook=_once)
    except OSError as error:
        raise UserError(
            f"the file of MCP servers cannot be read ({error.strerror})", where=str(file)
        ) from None
    except RecursionError:
        raise UserError("the file of MCP servers is nested too deeply", where=str(file)) from None
    except ValueError as error:
        raise UserError(f"the file of MCP servers is not JSON ({error})", where=str(file)) from None
    for place in _PLACES:
        servers: Any = found
        for key in place:
            servers = servers.get(key) if isinstance(servers, Mapping) else None
        if isinstance(servers, Mapping) and servers:
            return {str(name): one for name, one in servers.items()}
    raise UserError(
        "there are no MCP servers in this file",
        where=str(file),
        fix='Write {"mcpServers": {"NAME": {"command": "…", "args": […]}}}, as for any MCP client.',
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ; of two servers of one name the first would vanish without a word.

    Raises:
        ValueError: A key comes twice.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key} stands twice in one object")
        found[key] = value
    return found


def server_of(name: str, described: Any, file: Path) -> Server:
    """One server of a file.

    Raises:
        UserError: It is described wrongly, or in a way that is not served here.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(
            f"'{name}' cannot name an MCP server", where=str(file), fix="Use letters, digits, . _ and -"
        )
    if isinstance(described, Mapping):
        described = {key: value for key, value in described.items() if value is not None}
        if flaw := _flaw(described):
            raise UserError(f"mcpServers.{name}{flaw}", where=str(file))
    try:
        server = Server.model_validate(described)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("mcpServers", name, *first["loc"])))
        told = first["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
        raise UserError(f"{place}: {told}", where=str(file)) from None
    return server.model_copy(update={"home": file.absolute().parent})


def _flaw(described: Mapping[str, Any]) -> str:
    """What a description says that would be passed over; empty if there is nothing."""
    if described.get("disabled") is True or described.get("enabled") is False:
        return " is disabled; take `disabled` out of it"
    for key in ("type", "transport"):
        kind = str(described.get(key, "stdio"))
        if kind.lower() == "sse":
            return f".{key}: SSE, the old transport, is not spoken here; most servers offer streamable HTTP"
        if kind.lower() not in _TYPES:
            return f".{key}: there is no transport {kind}; stdio and http are known"
    known = Server.model_fields.keys() - {"home"}
    for key in described.keys() - known:
        # Other clients have keys of their own, but one letter more or less is a slip.
        if near := get_close_matches(key, known, 1, 0.85):
            return f".{key}: there is no such key; did you mean {near[0]}?"
    return ""
