"""Batch arithmetic: rows of one optimizer step = per_device_batch x accumulated steps x processes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UserError

_PASSES = 8  # our choice; with one, a small model lost six points (docs/training.md)


@dataclass(frozen=True)
class Batch:
    """How the rows of one optimizer step are spread.

    Attributes:
        per_device: Rows that one process handles at once.
        accumulate: Forward-backward passes of a process in one optimizer step.
        workers: Training processes.
    """

    per_device: int
    accumulate: int
    workers: int

    @property
    def mixes(self) -> bool:
        """Whether a step has enough passes to mix rows of all lengths where each pass has those of one."""
        return self.accumulate >= _PASSES

    @property
    def rows(self) -> int:
        """Rows of one optimizer step."""
        return self.per_device * self.accumulate * self.workers

    def steps(self, sequences: int, epochs: float) -> int:
        """Optimizer steps of `epochs` passes over `sequences` (transformers' Trainer counts the same way)."""
        passes = math.ceil(sequences / (self.per_device * self.workers))
        return math.ceil(epochs * math.ceil(passes / self.accumulate))

    @classmethod
    def divide(cls, global_batch: int, per_device: int, workers: int) -> Batch:
        """Spreads `global_batch` rows.

        Raises:
            UserError: if they cannot be spread evenly, with the nearest values that can.
        """
        for name, value in (
            ("global_batch", global_batch),
            ("per_device_batch", per_device),
            ("workers", workers),
        ):
            if value < 1:
                raise UserError(f"must be at least 1, is {value}", where=f"sft.{name}")
        unit = per_device * workers
        if global_batch % unit == 0:
            return cls(per_device, global_batch // unit, workers)
        below, above = global_batch // unit * unit, -(-global_batch // unit) * unit
        near = " or ".join(str(value) for value in (below, above) if value)
        fix = f"Set sft.global_batch to {near}"
        if global_batch % workers == 0:
            share = global_batch // workers
            fitting = max(size for size in range(1, min(per_device, share) + 1) if share % size == 0)
            fix += f", or sft.per_device_batch to {fitting}"
        raise UserError(
            f"{global_batch} rows cannot be spread over {workers} process{'es' if workers > 1 else ''} "
            f"x {per_device} rows (a multiple of {unit} is needed)",
            where="sft.global_batch",
            fix=fix,
        )
