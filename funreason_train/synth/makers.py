"""What can make conversations and tasks: one maker a run, chosen by `synth.maker`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol, cast

from ..dialogue import Trajectory
from ..environments import Task

Split = Literal["train", "tuning", "heldout"]

#: `synth.maker` -> the module.
MAKERS = {"embedded": "embedded.generate", "bfcl_world": "bfcl_world"}


class Maker(Protocol):
    """A module that makes everything itself, item by item."""

    def missing(self) -> str:
        """What is not installed, as a sentence; empty if nothing."""
        ...

    def read(self, config: Mapping[str, Any], seed: int) -> Iterator[Trajectory]:
        """The training conversations; `config` is the maker's node with `trajectories`."""
        ...

    def tasks(self, split: Split, count: int, seed: int, categories: Mapping[str, float]) -> Iterator[Task]:
        """Executable tasks of one split."""
        ...


def maker(name: str) -> Maker:
    """The maker of that name."""
    return cast(Maker, importlib.import_module(f"{__package__}.{MAKERS[name]}"))
