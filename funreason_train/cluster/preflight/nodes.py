"""The facts of this machine, or of every node of a Ray cluster at the same time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .facts import SECONDS, Facts, gather

_SECONDS = SECONDS + 40  # a worker starts on each node first


def facts_here(asked: Mapping[str, Any]) -> list[Facts]:
    """The facts of this machine alone."""
    return [gather(asked)]


def facts_of_cluster(job: Mapping[str, Any]) -> list[Facts]:
    """Joins the cluster of a profile, waits for its nodes, and gathers their facts.

    Args:
        job: `cluster` (the configuration node, as plain values) and `asked` (see `facts.gather`).

    Raises:
        UserError: if no cluster answers, or nodes stay missing.
    """
    from ..connect import connect

    with connect(job["cluster"]):
        return facts_of_nodes(job["asked"])


def facts_of_nodes(asked: Mapping[str, Any], seconds: float = _SECONDS) -> list[Facts]:
    """The facts of every living node of the cluster that Ray is connected to.

    The nodes are asked at the same time, and whether each reaches each. A second look at the shared folder
    follows, when every node has left its file. A node that does not answer in time, or ends while it is
    asked, has the fact `silent` and no other. GPUs are looked at where Ray has some: a head may have none.

    Args:
        asked: See `facts.gather`.
        seconds: The limit for all of it.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(gather)
    alive = [node for node in ray.nodes() if node["Alive"]]
    each_other = [f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}" for node in alive]
    token = f".preflight-{secrets.token_hex(4)}"
    head = str(ray.get_runtime_context().gcs_address).rpartition(":")[0] or None
    asked = {**asked, "token": token, "head": head, "hosts": [*asked.get("hosts", ()), *each_other]}

    def all_nodes(what: Mapping[str, Any]) -> dict[str, Facts]:
        calls, asked_at = {}, time.time()
        for node in alive:
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            gpu = bool(what.get("gpu") and node["Resources"].get("GPU"))
            own = {**what, "name": _name(node), "gpu": gpu}
            calls[ask.options(scheduling_strategy=place).remote(own)] = _name(node)
        ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=seconds)
        told = {}
        for call in ready:
            with suppress(RayError):
                told[calls[call]] = ray.get(call)
        for facts in told.values():
            facts["time"] = asked_at + clock_error(facts["time"], asked_at, time.time())
        return told

    found = all_nodes(asked)
    if folder := asked.get("shared"):
        again = all_nodes({"shared": folder, "token": token})
        for name, facts in found.items():
            if name in again:
                facts["shared"] = again[name]["shared"]
        for file in Path(folder).glob(f"{token}.*"):
            file.unlink(missing_ok=True)
    silent = [{"node": _name(node), "silent": True} for node in alive if _name(node) not in found]
    return [*found.values(), *silent]


def clock_error(said: float, asked: float, answered: float) -> float:
    """How far a clock is off that said a time between question and answer: 0 if it may be right.

    Nodes answer at different moments, since the first worker of a node takes a while to start.

    Args:
        said: The node's time.
        asked: Ours before it was asked.
        answered: Ours once all had answered.
    """
    return min(0.0, said - asked) + max(0.0, said - answered)


def _name(node: Mapping[str, Any]) -> str:
    return str(node.get("NodeName") or node["NodeManagerAddress"])
