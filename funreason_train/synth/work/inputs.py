"""What a run reads besides its settings: classes and modules of one's own, targets, MCP servers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...environments import module_files
from ...environments.mcp import PREFIX, Server, read_servers
from ...errors import UserError
from ..settings import COVERAGE


def files_read(settings: Mapping[str, Any]) -> list[Path]:
    """The files that decide what is made; `servers_used` knows those of MCP servers.

    Args:
        settings: The section `synth`, as plain values.
    """
    targets = settings["targets"]
    classes = [name for name in settings["environments"] if ":" in name and "/" not in name]
    named = [] if targets == COVERAGE else [Path(str(targets)).expanduser()]
    return [*named, *module_files([*(settings["modules"] or ()), *classes])]


def files_of_servers(settings: Mapping[str, Any]) -> list[Path]:
    """The file that describes MCP servers, and what their sessions start from.

    Args:
        settings: The section `synth`, as plain values.
    """
    if not settings["servers"]:
        return []
    found = [Path(str(settings["servers"])).expanduser()]
    with suppress(UserError):  # which the stage's check tells
        for server in servers_of(settings).values():
            found += [server.home / name for name in server.session.files]
    return found


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
