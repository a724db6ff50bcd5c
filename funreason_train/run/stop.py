"""A request to save and stop: a file that the driver leaves and that the stage looks for after each step.

Files reach every process of a stage, wherever it runs, without signals that frameworks would die of.
"""

from __future__ import annotations

#: What a command ends with that has saved and can be given again (EX_TEMPFAIL in sysexits.h).
EXIT_CODE = 75
#: Names a file whose appearance is a request as well, for batch systems that cannot reach the driver.
VARIABLE = "FUNREASON_STOP_FILE"
#: The key of a stage's result that says at which step it was stopped.
STOPPED = "stopped"


class Stopped(Exception):
    """A training has saved and ended, as it was asked to."""
