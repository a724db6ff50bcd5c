"""The makers that need no phases: one module each, which makes item by item."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from ..dialogue import Trajectory
from ..environments import Task, write_tasks
from ..run.progress import report
from .names import MAKERS
from .rows import conversation_row, line

Split = Literal["train", "tuning", "heldout"]


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
    """The maker of that name, which is not `phases`."""
    return cast(Maker, importlib.import_module(f"{__package__}.{MAKERS[name]}"))


def make_all(name: str, settings: Mapping[str, Any], seed: int, out: Path) -> dict[str, Any]:
    """Writes what a maker makes.

    Args:
        name: The maker, which is not `phases`.
        settings: The section `synth`.
        seed: Of everything that is drawn.
        out: An empty folder.

    Returns:
        `{"conversations": count, "tasks": {split: count}}`.

    Raises:
        UserError: what the maker cannot do.
    """
    node = settings[name] | {"trajectories": settings["trajectories"]}
    makes, count = maker(name), 0
    with (out / "conversations.jsonl").open("w", encoding="utf-8") as file:
        for count, trajectory in enumerate(makes.read(node, seed), start=1):
            file.write(line(conversation_row(trajectory)))
            report(count, node["trajectories"], f"{count} conversations")
    (out / "tasks").mkdir()
    splits: tuple[Split, ...] = ("heldout", "tuning")
    tasks = {
        split: write_tasks(
            out / "tasks" / f"{split}.jsonl",
            makes.tasks(split, settings[f"{split}_tasks"], seed, node["categories"]),
        )
        for split in splits
    }
    return {"conversations": count, "tasks": tasks}
