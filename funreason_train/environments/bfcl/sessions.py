"""The sandbox in which this process's BFCL environments live, and what their calls may take."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ...errors import UserError
from ..sandbox.limits import CallLimits
from ..sandbox.pool import Pool
from ..sandbox.session import Sandbox

WORK = f"{__package__}.world:prepare"
VARIABLE = "FUNREASON_CALL_LIMITS"
"""The environment variable that tells the processes of a stage its limits; see `limit_calls`."""

# For programs that use the package without a configuration; configs/config.yaml has the commands'.
_LIMITS = {"seconds": 5.0, "wall_seconds": 60.0, "memory_mib": 512, "waiting": 256}


def make_sessions(
    seconds: float = _LIMITS["seconds"],
    wall_seconds: float = _LIMITS["wall_seconds"],
    memory_mib: float = _LIMITS["memory_mib"],
    waiting: float = _LIMITS["waiting"],
) -> Pool:
    """Sessions in a host of their own.

    Args:
        seconds: Processor time that one request may take.
        wall_seconds: Seconds on the clock.
        memory_mib: MiB that the calls of one session may add.
        waiting: Most sessions that wait for their next request.
    """
    limits = CallLimits(seconds, wall_seconds, int(memory_mib))
    return Pool(Sandbox(WORK, {}, limits, variables={"TZ": "UTC"}), int(waiting))


def limit_calls(settings: Mapping[str, Any]) -> None:
    """Sets the limits of this process's sessions and of those of every process that it starts.

    Args:
        settings: The section `call_limits` of the configuration.

    Raises:
        UserError: a limit is not a number above 0.
    """
    for name in _LIMITS:
        value = settings.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise UserError(f"call_limits.{name}={value} is not a number above 0")
    os.environ[VARIABLE] = json.dumps({name: settings[name] for name in _LIMITS})
    SESSIONS.replace(_configured())


def _configured() -> Pool:
    return make_sessions(**json.loads(os.environ.get(VARIABLE) or "{}"))


SESSIONS = _configured()
"""This process's."""

os.register_at_fork(after_in_child=SESSIONS.forget)
