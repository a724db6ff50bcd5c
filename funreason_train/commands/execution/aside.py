"""Moving results aside: nothing that a stage made is deleted to make room for a new attempt at it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...run.paths import RunDir
from ...run.stage import Stage

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Move:
    """Where the result of a stage goes.

    Attributes:
        stage: Whose.
        source: Where it lies.
        target: Where it is to lie, below `old/`; None if there is nothing to move.
    """

    stage: str
    source: str
    target: str | None

    def do(self) -> None:
        """Moves it, unless that has been done already."""
        if self.target and Path(self.source).exists() and not Path(self.target).exists():
            Path(self.target).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.source, self.target)

    def undo(self) -> None:
        """Moves it back."""
        if self.target and Path(self.target).exists() and not Path(self.source).exists():
            shutil.move(self.target, self.source)


def moves(stages: Sequence[Stage], config: DictConfig, run: RunDir) -> list[Move]:
    """Where the results of stages would go: `old/NAME.N`, with the first N that is free."""
    found: list[Move] = []
    for stage in stages:
        source = stage.folder(config, run)
        number = 1
        taken = {one.target for one in found}  # results that the user placed may have one name
        while (target := run.old / f"{source.name}.{number}").exists() or str(target) in taken:
            number += 1
        found.append(Move(stage.name, str(source), str(target) if source.exists() else None))
    return found
