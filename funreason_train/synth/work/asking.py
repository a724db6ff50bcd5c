"""The agents that are models, with the server that they need, for the length of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agents.account import Usage
from ..agents.make import model_agents, models_of
from ..agents.server import NAME, vllm_server
from .threads import in_threads

if TYPE_CHECKING:
    from ..agents.account import Account
    from ..phases import Spread


@contextmanager
def model_spread(settings: Mapping[str, Any], folder: Path) -> Iterator[tuple[Spread, Account]]:
    """What makes samples with models, and what they may spend.

    Args:
        settings: The section `synth`.
        folder: For the log of a server that is started here.

    Raises:
        UserError: the server does not start.
    """
    with ExitStack() as stack:
        address, models = settings["endpoint"], models_of(settings)
        if settings["agents"] == "vllm":
            server = settings["vllm"]
            address = stack.enter_context(
                vllm_server(settings["model"], server["arguments"], server["start_seconds"], folder)
            )
            models = dict.fromkeys(models, NAME)
        agents = model_agents(settings, address, models, Usage())
        stack.enter_context(agents.endpoint)
        # A sample waits for its environment as well, so more of them than requests keep the requests full.
        most = settings["limits"]["concurrency"] * 3 // 2 + 1
        yield partial(in_threads, agents=agents, most=most), agents.endpoint.account
