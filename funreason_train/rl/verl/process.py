"""Loaded by verl in every process of a run (`VERL_USE_EXTERNAL_MODULES`): how processes reach each other.

verl 0.9.1 has a setting for neither the timeout nor the interface. Its key `actor_rollout_ref.nccl_timeout`
is read by nothing that its V1 trainer runs (verl/workers/engine_workers.py calls
`initialize_global_process_group_ray(timeout_second=None)`), so torch's ten minutes for NCCL hold, too short
while one rank saves tens of GiB. Workers on a Ray cluster that was started without our launch script have no
network interface named.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from ...run import beat
from . import beats
from .naming import TIMEOUT

_VERL = "without_our_defaults"


def set_group_defaults(backend: str | None = None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Gives verl's process groups a timeout, a backend and the route to the head; explicit values stay.

    Args:
        backend: torch's name of the backend; None keeps verl's choice, "cpu:gloo,cuda:nccl".
        environ: Where `TIMEOUT` is looked up, and where the interface is named.
    """
    import verl.utils.distributed as distributed

    current = distributed.initialize_global_process_group_ray
    original = getattr(current, _VERL, current)
    seconds = int(environ[TIMEOUT]) if environ.get(TIMEOUT) else None
    default = backend

    def initialize(timeout_second: int | None = None, backend: str | None = None) -> Any:
        use_route_to_head(environ)
        return original(timeout_second=timeout_second or seconds, backend=backend or default)

    setattr(initialize, _VERL, original)
    distributed.initialize_global_process_group_ray = initialize


def use_route_to_head(environ: MutableMapping[str, str] = os.environ) -> None:
    """Names the interface that leads to Ray's head to gloo and NCCL, unless the environment names one."""
    from ...cluster.topology import interface_variables

    if head := _head_address():
        environ.update(interface_variables(head, environ))


def _head_address() -> str | None:
    """The address of Ray's head as this worker reaches it; None outside Ray."""
    import ray

    if not ray.is_initialized():
        return None
    return str(ray.get_runtime_context().gcs_address).rpartition(":")[0] or None


if os.environ.get(TIMEOUT):
    set_group_defaults()
if os.environ.get(beat.VARIABLE):
    beats.install()
