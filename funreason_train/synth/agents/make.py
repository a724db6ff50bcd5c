"""Agents from their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UserError
from .base import Agents

#: `synth.agents` -> what they are.
KINDS: Mapping[str, str] = {"offline": "templates and rules, no model"}


def make_agents(settings: Mapping[str, Any]) -> Agents:
    """The agents.

    Args:
        settings: `kind` and what that kind takes.

    Raises:
        UserError: there is no such kind.
    """
    if settings["kind"] == "offline":
        from .offline import OfflineAgents

        return OfflineAgents(settings["errors"])
    raise UserError(f"there are no agents '{settings['kind']}'", fix=f"There are {', '.join(KINDS)}.")
