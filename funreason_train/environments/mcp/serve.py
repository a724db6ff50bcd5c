"""One of our environments as an MCP server, so that any agent can use it.

Every connection plays in an environment of its own that starts from the same configuration: over stdio the
process is the connection, over streamable HTTP the protocol's session is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from ...calls import Call
from ..protocol import Environment, Result

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import Tool

STATE_TOOL = "environment_state"
"""The name of the tool that shows the whole state, where it is offered."""

_NO_SESSION = (
    "this server keeps a state for each session, and the request belongs to none: connect with the "
    "`initialize` handshake (protocol 2025-11-25 or earlier)"
)


class Offer:
    """An environment as tools of MCP.

    Args:
        make: Makes an environment.
        config: What each one starts from.
        state: Whether `environment_state` is offered besides.
    """

    def __init__(
        self, make: Callable[[], Environment], config: Mapping[str, Any], *, state: bool = False
    ) -> None:
        self._make, self._config, self._state = make, dict(config), state

    def start(self) -> Environment:
        """A fresh environment.

        Raises:
            ValueError: The configuration is not one of this environment's.
        """
        environment = self._make()
        environment.reset(self._config)
        return environment

    def tools(self, environment: Environment) -> list[Tool]:
        """The documents as MCP has them."""
        from mcp_types import Tool, ToolAnnotations

        found = [
            Tool(name=one["name"], description=one["description"], input_schema=dict(one["parameters"]))
            for one in environment.tools()
        ]
        if self._state:
            found.append(
                Tool(
                    name=STATE_TOOL,
                    description="Show the whole state, for whoever judges what the other tools did.",
                    input_schema={"type": "object", "properties": {}},
                    annotations=ToolAnnotations(read_only_hint=True),
                )
            )
        return found

    def call(self, environment: Environment, name: str, arguments: Mapping[str, Any]) -> Result:
        """Executes one call; whatever goes wrong is an answer."""
        if self._state and name == STATE_TOOL:
            import json

            try:
                state = environment.snapshot()
            except ValueError as error:
                return Result(str(error), False)
            return Result(json.dumps(state, ensure_ascii=False), True, state)
        return environment.call(Call(name, dict(arguments)))


class _Connection:
    """An environment and the lock that keeps its calls one after the other."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self.lock = environment, Lock()


def server_of(offer: Offer, name: str) -> Server[Any]:
    """The MCP server.

    Args:
        offer: What is offered.
        name: What the server calls itself.
    """
    from anyio import to_thread
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError
    from mcp_types import (
        INVALID_REQUEST,
        METHOD_NOT_FOUND,
        CallToolResult,
        ListToolsResult,
        RequestParams,
        TextContent,
    )
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    from ... import __version__

    connections: dict[Any, _Connection] = {}

    def connection_of(context: Any) -> _Connection:
        """That of the session; made at its first request, and let go with the session."""
        owner = context.session._connection  # the SDK shows the connection to nobody in another way
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(code=INVALID_REQUEST, message=_NO_SESSION)
        if (found := connections.get(owner)) is None:
            found = connections[owner] = _Connection(offer.start())
            owner.exit_stack.callback(found.environment.close)
            owner.exit_stack.callback(connections.pop, owner, None)
        return found

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=offer.tools(connection_of(context).environment))

    async def call_tool(context: Any, params: Any) -> CallToolResult:
        connection = connection_of(context)

        def work() -> Result:
            with connection.lock:
                return offer.call(connection.environment, params.name, params.arguments or {})

        result = await to_thread.run_sync(work)
        value = result.value if result.ok and isinstance(result.value, dict) else None
        return CallToolResult(
            content=[TextContent(type="text", text=result.text)],
            structured_content=value,
            is_error=not result.ok,
        )

    async def discover(context: Any, params: Any) -> None:
        """Protocols without sessions are not spoken here; a client that asks for one then shakes hands."""
        raise MCPError(code=METHOD_NOT_FOUND, message=_NO_SESSION)

    server: Server[Any] = Server(name, version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)
    server.add_request_handler("server/discover", RequestParams, discover)
    return server


def serve_stdio(server: Server[Any]) -> None:
    """Serves over this process' standard streams until the other side closes them.

    Protocols without sessions are refused and no reason to give up: a client that asks for one first, as the
    SDK's own does, may shake hands on the same connection, which `Server.run` would not let it.
    """
    import anyio
    from mcp.server.runner import serve_loop
    from mcp.server.stdio import stdio_server

    async def main() -> None:
        options = server.create_initialization_options()
        async with server.lifespan(server) as state, stdio_server() as (read, write):
            await serve_loop(server, read, write, lifespan_state=state, init_options=options)

    anyio.run(main)


def serve_http(server: Server[Any], host: str, port: int) -> None:
    """Serves streamable HTTP at http://HOST:PORT/mcp until it is interrupted.

    Raises:
        OSError: The port is taken.
    """
    import socket

    import uvicorn

    with socket.create_server((host, port), reuse_port=False) as listening:
        app = server.streamable_http_app(host=host)
        config = uvicorn.Config(app, log_level="warning")
        uvicorn.Server(config).run(sockets=[listening])
