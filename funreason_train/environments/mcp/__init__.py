"""MCP servers as environments: a session of its own for each conversation, over stdio or streamable HTTP.

    funreason_train.environments.mcp.load_servers(Path("servers.json"))   # then `mcp/NAME` is an environment

The file is the `mcpServers` JSON that MCP clients read (`servers`). A fresh process is not yet a fresh state,
so every session has a folder of its own (`session`), whether two sessions see each other is checked before
anything is built on them (`isolation`), and what a server answered can be recorded and played back without it
(`cassette`).
"""

from .cassette import keep_learnt
from .environment import PREFIX, load_servers
from .isolation import check_isolation
from .servers import Server, read_servers

__all__ = ["PREFIX", "Server", "check_isolation", "keep_learnt", "load_servers", "read_servers"]
