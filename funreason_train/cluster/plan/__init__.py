"""Memory, time, network and disk of a training before it starts, as documented pure functions; no torch.

A figure is worked out once, here: dry runs, the command `plan`, checks before a start and the report use it.
`docs/plan.md` publishes how far off it is.

    plan_and_measured(run: RunDir) -> tuple[Compared, ...]     # plan beside measurement, for the report
"""

from .device import GIB, Device
from .measured import Compared, corrected, plan_and_measured, read_plan
from .result import Advice, StagePlan, document

__all__ = [
    "GIB",
    "Advice",
    "Compared",
    "Device",
    "StagePlan",
    "corrected",
    "document",
    "plan_and_measured",
    "read_plan",
]
