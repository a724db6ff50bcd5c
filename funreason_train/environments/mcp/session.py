"""One live session with an MCP server, called from ordinary code.

The SDK is asynchronous and wants a connection to be opened and closed by the same task, so one thread with an
event loop serves all sessions of the process, and each session is one task that lives as long as its
connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import re
import shutil
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ..protocol import Result, brief
from .answers import first_flaw, located, renamed, result_of
from .folders import folder_state, make_folder
from .heard import StandardError, Web
from .policy import mended_tool
from .renaming import Names
from .servers import SESSION, Server, Unusable, ending_with_us

if TYPE_CHECKING:
    import anyio
    from mcp import ClientSession
    from mcp_types import CallToolResult, ListToolsResult, Tool

_CLOSE_SECONDS = 10.0
_MOST_PAGES = 500  # of a list of tools
_OTHER_SDK = re.compile(r"\b(?:AttributeError|ImportError|ModuleNotFoundError|TypeError)\b")


_ONE_LOOP = threading.Lock()  # sessions are started by several threads, and must not get a loop each


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all sessions, in a thread of its own."""
    with _ONE_LOOP:
        return _made_loop()


@functools.cache
def _made_loop() -> asyncio.AbstractEventLoop:
    # What a server writes beside the protocol is told in our own words, if it matters.
    for name in ("mcp", "client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="mcp", daemon=True).start()
    return loop


class Session:
    """A connection with a state of its own: a process, or a connection whose server was reset.

    Args:
        name: The server's, for messages.
        server: Its description.

    Attributes:
        tools: The documents as the server listed them.
        fault: Why the session can no longer be used, or None.
        folder: The session's own, from its start to its end.
        said: The last answer as the server wrote it, but for its paths.
    """

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.server = name, server
        self.fault: str | None = None
        self.tools: list[Tool] = []
        self.folder = Path()
        self.said = ""
        self._names = Names()
        self._hidden = server.hidden()
        self._aliases: dict[str, str] = {}
        self._errors: StandardError | None = None
        self._web = Web()
        self._noise = ""  # why the last message since the last request was not valid MCP
        self._stop: asyncio.Event | None = None
        self._starting: anyio.CancelScope | None = None
        self._session: ClientSession | None = None
        self._ready: Future[None] = Future()
        self._done: Future[None] | None = None

    def start(self) -> Session:
        """Starts the server or connects to it, and lists its tools.

        Raises:
            UserError: It does not start, ask for a login, or does not answer in time.
        """
        _load_sdk(self.server)
        self.folder = make_folder(self.name)
        self._aliases = self.server.aliases(self.folder)
        try:
            self._copy_files()
            self._done = asyncio.run_coroutine_threadsafe(self._live(), _loop())
            self._ready.result(self.server.session.start_seconds)
            documents = [tool.model_dump(mode="json", exclude_none=True) for tool in self.tools]
            self._names = Names(json.dumps([documents, self.server.session.model_dump(mode="json")]))
            if self.server.session.reset:
                self._reset(self.server.session.reset)
        except FutureTimeout:
            self.close()
            said = self._errors.last_line() if self._errors is not None else ""
            told = f"; it wrote: {brief(self._plain(said))}" if said else ""
            seconds = f"{self.server.session.start_seconds:g} s"
            raise self._error(
                f"did not answer within {seconds} of its start{self._told_noise()}{told}"
            ) from None
        except UserError:
            self.close()
            raise
        return self

    def know(self, forms: frozenset[str]) -> None:
        """Shows other ids for those of these forms as well (`renaming.drawn_ids`)."""
        self._names.know(forms)

    def call(self, name: str, arguments: dict[str, Any], look: bool = False) -> Result:
        """Calls a tool and waits; never raises. Without an answer the state is unknown: see `fault`.

        Args:
            name: The server's own; `{session}` calls no tool, it answers with what stands in the folder.
            arguments: As a model writes them.
            look: Answer with the real ids and times; nobody is shown them (`renaming`).
        """
        if name == SESSION:
            state = folder_state(self.folder)
            return Result(json.dumps(state, ensure_ascii=False), True, state)
        if self.fault is not None or self._session is None:
            return Result(f"Error: {self.fault or 'the session is closed'}", False)
        seconds, self._noise = self.server.session.seconds, ""
        meant = arguments if look else self._names.meant(name, arguments)
        meant = located(meant, self._aliases)
        asked = self._session.call_tool(name, meant, seconds)
        future = asyncio.run_coroutine_threadsafe(asked, _loop())
        try:
            result = self._result(future.result(seconds + 1))
        except (FutureTimeout, TimeoutError):
            future.cancel()
            self.fault = f"the MCP server {self.name} gave no answer to {name} within {seconds:g} s"
            self.fault += self._told_noise()
            return Result(f"Error: no answer within {seconds:g} s", False)
        except Exception as error:  # the SDK raises what the server or the transport did wrong
            result = self._failed(name, error)
        self.said = result.text
        return result if look else self._names.shown(result)

    def close(self) -> None:
        """Ends the connection, its process and its folder; may be called twice."""
        if self._starting is not None and not self._ready.done():
            _loop().call_soon_threadsafe(self._starting.cancel)
        if self._stop is not None:
            _loop().call_soon_threadsafe(self._stop.set)
        if self._done is not None:
            with contextlib.suppress(Exception):
                self._done.result(_CLOSE_SECONDS)
            self._done.cancel()
        self._session = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _failed(self, name: str, error: Exception) -> Result:
        from mcp.shared.exceptions import MCPError
        from mcp_types import REQUEST_TIMEOUT
        from pydantic import ValidationError

        if isinstance(error, ValidationError):  # it has answered, and goes on
            return Result(f"Error: the answer is not valid MCP ({first_flaw(error)})", False)
        code = error.error.code if isinstance(error, MCPError) else None
        said = self._plain(error)
        if (refused := self._web.refused()) and code != REQUEST_TIMEOUT:
            self.fault = f"the MCP server {self.name} {refused}"
            said = f"the server {refused}"
        elif code == REQUEST_TIMEOUT:
            self.fault = f"the MCP server {self.name} gave no answer to {name}{self._told_noise()}"
        elif _is_closed(error) or not isinstance(error, MCPError | RuntimeError):
            self.fault = f"the MCP server {self.name} is gone ({said or type(error).__name__})"
        return Result(f"Error: {said or type(error).__name__}", False)

    def _result(self, answer: CallToolResult) -> Result:
        return result_of(answer, self.server.session.most_characters, self._hidden, self._aliases)

    def _plain(self, said: Any) -> str:
        """What a server said, on one line and without what is hidden."""
        text = brief(said, 2000)
        for name, value in self._hidden.items():
            text = text.replace(value, f"({name})")
        return str(renamed(text, self._aliases))

    async def _live(self) -> None:
        """The task that opens the connection, keeps it, and closes it."""
        import anyio

        self._stop = asyncio.Event()
        try:
            async with self._connected() as session:
                self._session = session
                with anyio.CancelScope() as self._starting:
                    await session.initialize()
                    self.tools = await _all_tools(session)
                    self._ready.set_result(None)
                if self._ready.done():
                    await self._stop.wait()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(self._error(self._why(error), self._way_out(error)))
            elif self.fault is None:
                self.fault = f"the MCP server {self.name} is gone ({self._plain(_first(error))})"
            if isinstance(error, asyncio.CancelledError):
                raise

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientSession]:
        from mcp import ClientSession

        server = self.server.filled(self.folder)
        async with contextlib.AsyncExitStack() as stack:
            if server.command is not None:
                from mcp.client.stdio import StdioServerParameters, stdio_client

                self._errors = stack.enter_context(StandardError())
                command, *words = ending_with_us([server.command, *server.args], server)
                started = StdioServerParameters(
                    command=command,
                    args=words,
                    env=server.env,
                    cwd=server.cwd,
                    encoding_error_handler="replace",
                )
                streams = await stack.enter_async_context(stdio_client(started, errlog=self._errors.file))
            else:
                import httpx2
                from mcp.client.streamable_http import streamable_http_client

                client = await stack.enter_async_context(
                    httpx2.AsyncClient(
                        headers=server.headers,
                        timeout=self.server.session.seconds,
                        event_hooks={"response": [self._web.remember]},
                    )
                )
                streams = await stack.enter_async_context(
                    streamable_http_client(str(server.url), http_client=client)
                )
            told = ClientSession(*streams[:2], message_handler=self._notice)
            yield await stack.enter_async_context(told)

    async def _notice(self, message: Any) -> None:
        """Remembers what could not be read; an answer may have stood in it."""
        if isinstance(message, Exception):
            self._noise = first_flaw(message)

    def _told_noise(self) -> str:
        return f"; it sent a message that is not valid MCP ({self._noise})" if self._noise else ""

    def _reset(self, tool: str) -> None:
        done = self.call(tool, {})
        if not done.ok:
            raise self._error(f"could not be reset by {tool} ({brief(done.text)})")

    def _copy_files(self) -> None:
        for name in self.server.session.files:
            source = self.server.home / name
            if source.is_dir():
                shutil.copytree(source, self.folder / source.name)
            elif source.is_file():
                shutil.copy2(source, self.folder / source.name)
            else:
                raise UserError(f"{source}: there is no such file, which session.files of {self.name} names")

    def _why(self, error: BaseException) -> str:
        """Why the server did not start, with the last line that it wrote."""
        from pydantic import ValidationError

        first = _first(error)
        if isinstance(first, Unusable):
            return f"does not start: {first}"
        if refused := self._web.refused():
            return refused
        if "Timeout" in type(first).__name__:
            return f"does not start: no answer within {self.server.session.seconds:g} s"
        if self._answered(first):
            return f"refuses to serve ({self._plain(first)})"
        if isinstance(first, ValidationError):
            return f"does not start: what it sends is not valid MCP ({self._plain(first_flaw(first))})"
        why = f"does not start ({type(first).__name__}: {self._plain(first)})"
        said = self._errors.last_line() if self._errors is not None else ""
        return f"{why}; it wrote: {brief(self._plain(said))}" if said else why

    def _answered(self, error: BaseException) -> bool:
        """Whether a program that is served here has answered: with an error, or in another version."""
        from mcp.shared.exceptions import MCPError
        from mcp_types import REQUEST_TIMEOUT

        if isinstance(error, MCPError):
            return error.error.code != REQUEST_TIMEOUT and not _is_closed(error)
        return isinstance(error, RuntimeError) and "protocol version" in str(error)

    def _way_out(self, error: BaseException) -> str | None:
        """What may help where a program ends, or fails, before it has answered."""
        from pydantic import ValidationError

        first = _first(error)
        if self._errors is None or isinstance(first, Unusable | ValidationError) or self._answered(first):
            return None
        if _OTHER_SDK.search(self._errors.last_line()):
            return (
                "It may be written for version 1 of the MCP SDK: install 'mcp<2' (or 'fastmcp<3') beside it"
            )
        return (
            "Run its command in a terminal: a server of this kind starts, writes no error and waits for input"
        )

    def _error(self, what: str, fix: str | None = None) -> UserError:
        return UserError(f"the MCP server {self.name} {what}", fix=fix)


def _load_sdk(server: Server) -> None:
    """Imports what a session needs; seconds on a busy machine, which are none of the server's."""
    import mcp

    if server.command is not None:
        import mcp.client.stdio
    else:
        import httpx2  # noqa: F401
        import mcp.client.streamable_http  # noqa: F401


def _is_closed(error: BaseException) -> bool:
    """Whether the SDK says that the connection is closed; servers give that code to errors of their own."""
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED

    closed = isinstance(error, MCPError) and error.error.code == CONNECTION_CLOSED
    return closed and str(error).strip() in ("", "Connection closed")


def _first(error: BaseException) -> BaseException:
    """The first error inside groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _all_tools(session: ClientSession) -> list[Tool]:
    page = await _page(session, None)
    tools, seen = list(page.tools), set[str]()
    while page.next_cursor:
        if page.next_cursor in seen or len(seen) >= _MOST_PAGES:
            raise Unusable(f"its list of tools never ends, {len(tools)} so far")
        seen.add(page.next_cursor)
        page = await _page(session, page.next_cursor)
        tools += page.tools
    return tools


async def _page(session: ClientSession, cursor: str | None) -> ListToolsResult:
    """One page of the tools; what is not valid in one of them costs no other.

    The SDK refuses a whole list for one schema without a `type`, so its own parts are asked for what the
    server has really sent.
    """
    from mcp_types import ListToolsRequest, ListToolsResult, PaginatedRequestParams
    from pydantic import ValidationError

    params = PaginatedRequestParams(cursor=cursor) if cursor else None
    try:
        return await session.list_tools(params=params)
    except ValidationError:
        asked = ListToolsRequest(params=params).model_dump(by_alias=True, mode="json", exclude_none=True)
        options: Any = {}
        session._stamp(asked, options)
        sent = await session._dispatcher.send_raw_request(asked["method"], asked.get("params"), options)
        listed, following = sent.get("tools"), sent.get("nextCursor")
        if not isinstance(listed, list):
            raise
        kept = [tool for tool in map(mended_tool, listed) if tool is not None]
        page = ListToolsResult(tools=kept, next_cursor=following if isinstance(following, str) else None)
        return session._absorb_tool_listing(page, complete=not (cursor or page.next_cursor))
