"""`funreason-train serve-env NAME`: an environment as an MCP server."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from errno import EADDRINUSE
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ..environments.bfcl.sessions import limit_calls
from ..environments.mcp.serve import Offer, serve_http, serve_stdio, server_of
from ..environments.protocol import Environment
from ..environments.registry import configured_environment, load_environments, played_environment
from ..errors import UserError
from ..run.paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig


def serve_env(config: DictConfig, run: RunDir) -> None:
    """Serves until the client is gone (stdio) or until it is interrupted (HTTP).

    Raises:
        UserError: The environment is not there or does not start, or the port is taken.
    """
    settings = config.serve_env
    if settings.environment is None:
        raise UserError("no environment is named", fix="For example funreason-train serve-env shop")
    name = str(settings.environment)
    load_environments(config.environment_modules)
    kind = configured_environment(name)
    start = _start(kind, settings.start_from, config.seed, settings.size)
    limit_calls(config.call_limits)
    # One's own works in a process of its own: what it prints is no message of the protocol, and what it ends
    # or hangs in is not the server.
    offer = Offer(partial(played_environment, name), start, state=settings.state_tool)
    _try(offer, name, settings.start_from)
    server = server_of(offer, name)
    if settings.port is None:
        serve_stdio(server)
        return
    place = f"[{settings.host}]" if ":" in settings.host else settings.host  # of IPv6, as an address has it
    print(f"{name}: http://{place}:{settings.port}/mcp", file=sys.stderr, flush=True)
    try:
        serve_http(server, settings.host, settings.port)
    except OSError as error:
        raise UserError(
            f"nothing can listen at {place}:{settings.port} ({error.strerror})",
            fix="Choose another port=PORT"
            if error.errno == EADDRINUSE
            else "Name an address of this machine, host=HOST",
        ) from None


def _start(kind: type[Environment], file: str | None, seed: int, size: int) -> Mapping[str, Any]:
    if file is None:
        return kind.scenario(Random(f"serve/{seed}"), size)
    path = Path(file).expanduser()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the file cannot be read ({error.strerror})", where=f"start_from={file}") from None
    except ValueError as error:
        raise UserError(f"the file is not JSON ({error})", where=f"start_from={file}") from None
    if not isinstance(found, dict):
        raise UserError("a configuration is a JSON object", where=f"start_from={file}")
    return found


def _try(offer: Offer, name: str, file: str | None) -> None:
    """Starts the environment once, so that what is wrong is said here and not to a client."""
    try:
        offer.start().close()
    except ValueError as error:
        where = f"start_from={file}" if file else None
        raise UserError(f"{name} does not start from this configuration ({error})", where=where) from None
