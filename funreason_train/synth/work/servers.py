"""The MCP servers that are a run's environments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...environments.mcp import PREFIX, Server, read_servers


def servers_used(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How the MCP servers of a run are described, as digests; nothing for a run without them.

    Args:
        settings: The section `synth`, as plain values.
    """
    if not settings["servers"]:
        return {}
    return {"described": {name: server.digest() for name, server in servers_of(settings).items()}}


def servers_of(settings: Mapping[str, Any]) -> dict[str, Server]:
    """The MCP servers that a run's environments are, by their names.

    Args:
        settings: The section `synth`, as plain values.

    Raises:
        UserError: as `read_servers`.
    """
    if not settings["servers"]:
        return {}
    used = [name.removeprefix(PREFIX) for name in settings["environments"] if name.startswith(PREFIX)]
    return read_servers(Path(str(settings["servers"])).expanduser(), used)
