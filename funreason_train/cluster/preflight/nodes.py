"""The facts of this machine, or of every node of a Ray cluster at the same time."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .facts import Facts, gather

_SECONDS = 240.0  # the matrix probe imports torch and starts CUDA


def facts_here(asked: Mapping[str, Any]) -> list[Facts]:
    """The facts of this machine alone."""
    return [gather(asked)]


def facts_of_nodes(asked: Mapping[str, Any], seconds: float = _SECONDS) -> list[Facts]:
    """The facts of every living node of the cluster that Ray is connected to.

    The nodes are asked at the same time, and whether each reaches each. A second look at the shared folder
    follows, when every node has left its file. A node that does not answer in time has the fact `silent` and
    no other.

    Args:
        asked: See `facts.gather`.
        seconds: The limit for all of it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(gather)
    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = {node["NodeID"]: _name(node) for node in alive}
    each_other = [f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}" for node in alive]
    token = f".preflight-{secrets.token_hex(4)}"
    asked = {**asked, "token": token, "hosts": [*asked.get("hosts", ()), *each_other]}

    def all_nodes(what: Mapping[str, Any]) -> dict[str, Facts]:
        calls = {
            ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                what
            ): name
            for node, name in nodes.items()
        }
        ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=seconds)
        return {calls[call]: ray.get(call) for call in ready}

    found = all_nodes(asked)
    if folder := asked.get("shared"):
        again = all_nodes({"shared": folder, "token": token})
        for name, facts in found.items():
            if name in again:
                facts["shared"] = again[name]["shared"]
        for file in Path(folder).glob(f"{token}.*"):
            file.unlink(missing_ok=True)
    silent = [{"node": name, "silent": True} for name in nodes.values() if name not in found]
    return [*found.values(), *silent]


def _name(node: Mapping[str, Any]) -> str:
    return str(node.get("NodeName") or node["NodeManagerAddress"])
