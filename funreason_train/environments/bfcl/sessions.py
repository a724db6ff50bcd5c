"""The sandbox in which this process's BFCL environments live, and what their calls may take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..sandbox.configured import call_limits, set_call_limits
from ..sandbox.limits import CallLimits
from ..sandbox.pool import Pool
from ..sandbox.session import Sandbox

WORK = f"{__package__}.world:prepare"


def make_sessions(**limits: float) -> Pool:
    """Sessions in a host of their own.

    Args:
        **limits: As in the section `call_limits`; what is not given is as in configs/config.yaml.
    """
    return Pool(partial(_make, limits))


def _make(limits: Mapping[str, float]) -> tuple[Sandbox, int]:
    chosen = {**call_limits(), **limits}
    calls = CallLimits(chosen["seconds"], chosen["wall_seconds"], int(chosen["memory_mib"]))
    return Sandbox(WORK, {}, calls, variables={"TZ": "UTC"}), int(chosen["waiting"])


def limit_calls(settings: Mapping[str, Any]) -> None:
    """Sets the limits of this process's sessions and of those of every process that it starts.

    Args:
        settings: The section `call_limits` of the configuration, which its model has checked.
    """
    set_call_limits(settings)
    SESSIONS.replace(make_sessions())


SESSIONS = make_sessions()
"""This process's."""

os.register_at_fork(after_in_child=SESSIONS.forget)
