"""The sandbox in which this process's BFCL environments live, and what their calls may take."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...settings.places import shipped
from ..sandbox.limits import CallLimits
from ..sandbox.pool import Pool
from ..sandbox.session import Sandbox

WORK = f"{__package__}.world:prepare"
VARIABLE = "FUNREASON_CALL_LIMITS"
"""The environment variable that tells the processes of a stage its limits; see `limit_calls`."""


def make_sessions(**limits: float) -> Pool:
    """Sessions in a host of their own.

    Args:
        **limits: As in the section `call_limits`; what is not given is as in configs/config.yaml.
    """
    return Pool(partial(_make, limits))


def _make(limits: Mapping[str, float]) -> tuple[Sandbox, int]:
    chosen = {**_shipped(), **limits}
    calls = CallLimits(chosen["seconds"], chosen["wall_seconds"], int(chosen["memory_mib"]))
    return Sandbox(WORK, {}, calls, variables={"TZ": "UTC"}), int(chosen["waiting"])


def _shipped() -> dict[str, float]:
    import yaml

    settings = yaml.safe_load((shipped("configs") / "config.yaml").read_text(encoding="utf-8"))
    return dict(settings["call_limits"])


def limit_calls(settings: Mapping[str, Any]) -> None:
    """Sets the limits of this process's sessions and of those of every process that it starts.

    Args:
        settings: The section `call_limits` of the configuration, which its model has checked.
    """
    os.environ[VARIABLE] = json.dumps(dict(settings))
    SESSIONS.replace(_configured())


def _configured() -> Pool:
    return make_sessions(**json.loads(os.environ.get(VARIABLE) or "{}"))


SESSIONS = _configured()
"""This process's."""

os.register_at_fork(after_in_child=SESSIONS.forget)
