"""Agents from their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ..names import AGENTS
from .base import Agents

if TYPE_CHECKING:
    from .account import Budget, Usage
    from .model import ModelAgents


def make_agents(settings: Mapping[str, Any]) -> Agents:
    """The agents of processes that make samples by themselves.

    Args:
        settings: `kind` and what that kind takes.

    Raises:
        UserError: there is no such kind.
    """
    if settings["kind"] == "offline":
        from .offline import OfflineAgents

        return OfflineAgents(settings["errors"])
    raise UserError(f"there are no agents '{settings['kind']}'", fix=f"There are {', '.join(AGENTS)}")


def budget_of(limits: Mapping[str, Any]) -> Budget:
    """The `Budget` of `synth.limits`."""
    from .account import Budget

    prices = limits["prices"]
    return Budget(prices["prompt"], prices["completion"], limits["budget"], limits["most_tokens"])


def model_agents(
    settings: Mapping[str, Any], address: str, models: Mapping[str, str], spent: Usage
) -> ModelAgents:
    """Agents that are models; their `endpoint` has to be closed.

    Args:
        settings: The section `synth`.
        address: Of the server.
        models: Role -> the model's name there.
        spent: The `Usage` of earlier attempts at this run.
    """
    from .account import Account
    from .endpoint import Endpoint, Limits, Sampling
    from .model import ModelAgents

    limits = settings["limits"]
    endpoint = Endpoint(
        address,
        settings["key_variable"],
        Limits(
            limits["concurrency"],
            limits["seconds"],
            limits["tries"],
            limits["requests_per_minute"],
            limits["tokens_per_minute"],
        ),
        Sampling(**settings["sampling"]),
        Account(budget_of(limits), spent),
    )
    return ModelAgents(endpoint, models)


def models_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Role -> model, where each role has one of its own or the model of all."""
    return {role: str(own or settings["model"]) for role, own in settings["roles"].items()}
