"""Environments that break: a shop whose server goes away, at the start, at a call or at the end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from funreason_train.calls import Call
from funreason_train.environments import ENVIRONMENTS, Result, register_environment
from funreason_train.environments.domains.shop import Shop


class Breaking(Shop):
    """Breaks at a place; the first `skip` of them play well (an episode makes two: gold, and its own)."""

    name = "breaking"
    at = "call"
    _made = itertools.count()
    skip = 0

    def __init__(self) -> None:
        self.number = next(Breaking._made)
        super().__init__()
        self.fault = None

    @property
    def broken(self) -> bool:
        return self.number >= type(self).skip

    def reset(self, config: Mapping[str, Any]) -> None:
        super().reset(config)
        if self.broken and self.at == "reset":
            raise ConnectionRefusedError("nobody listens")

    def call(self, call: Call) -> Result:
        if self.broken and self.at == "raise":
            raise ConnectionResetError("the server went away")
        answer = super().call(call)
        if self.broken and self.at == "call":
            self.fault = "the server gave no answer"
            return Result("Error: no answer", False)
        return answer

    def compare(self, other: Any) -> list[str]:
        if self.broken and self.at == "compare":
            raise TimeoutError("the state was not read in time")
        return super().compare(other)


#: Where an episode can break once it has begun.
PLACES = ("raise", "call", "compare")


def install(at: str, skip: int = 0) -> None:
    """Registers the shop that breaks at a place, after so many environments."""
    Breaking.at, Breaking.skip, Breaking._made = at, skip, itertools.count()
    if "breaking" not in ENVIRONMENTS:
        register_environment(Breaking)
