"""The pass that keeps BFCL's questions, initial states and gold traces out of the training data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...dialogue import Trajectory
from ..read.rows import RowError

if TYPE_CHECKING:
    from .overlap import Benchmark


@dataclass(frozen=True)
class Decontaminate:
    """Rejects what overlaps with BFCL; see `checks.passes` and `overlap.Benchmark`.

    Attributes:
        folder: BFCL's data folder.
        size: Words an n-gram.
        share: Of a benchmark entry's n-grams, how many make an overlap.
    """

    folder: Path
    size: int
    share: float

    def __call__(self, trajectory: Trajectory) -> None:
        """Looks at one conversation.

        Raises:
            RowError: `decontaminated`, with the entry that it overlaps with.
        """
        found = _benchmark(self.folder, self.size).overlap(trajectory, self.share)
        if found is not None:
            raise RowError("decontaminated", found)


@lru_cache(maxsize=1)
def _benchmark(folder: Path, size: int) -> Benchmark:
    """Read once a process."""
    from .overlap import Benchmark  # imports numpy, which a dry run can do without

    return Benchmark.read(folder, size)
