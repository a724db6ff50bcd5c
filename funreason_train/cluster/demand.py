"""What a stage will ask Ray for, and what a cluster's nodes have free for it (pure).

Ray waits forever for what nobody has: Ray Train's controller retries a placement that timed out without end,
and verl's placement group blocks (verl#242). So the free resources of each node are compared with the demand
before either is started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]
"""A row of `ray.nodes()` with `Available`, the node's free resources by name."""


@dataclass(frozen=True)
class Demand:
    """What the workers of one stage reserve.

    Attributes:
        who: The stage, in words.
        workers: Training processes on all nodes together.
        cpus: Ray's logical CPUs of one worker.
        gpus: Ray's logical GPUs of one worker.
        spare_cpus: CPUs that the framework's own processes take, wherever there are some.
        setting: How to ask for less.
        spare_gpus: GPUs that are needed besides those of the workers.
    """

    who: str
    workers: int
    cpus: float
    gpus: float
    spare_cpus: float
    setting: str
    spare_gpus: float = 0


def shortage(demand: Demand, nodes: Sequence[Node]) -> str | None:
    """Why the workers cannot be placed now, naming every node that is short, or None if they can.

    Args:
        demand: What is asked for.
        nodes: The cluster's nodes; dead ones are left out.
    """
    alive = [node for node in nodes if node.get("Alive")]
    places = {_name(node): _places(demand, node) for node in alive}
    free_cpus = sum(_free(node, "CPU") for node in alive)
    needed_cpus = demand.workers * demand.cpus + demand.spare_cpus
    free_gpus = sum(_free(node, "GPU") for node in alive)
    enough = free_cpus >= needed_cpus and free_gpus >= demand.workers * demand.gpus + demand.spare_gpus
    if sum(places.values()) >= demand.workers and enough:
        return None
    what = f"{demand.who} asks for {demand.workers} workers of {demand.cpus:g} CPUs"
    if demand.gpus:
        what += f" and {demand.gpus:g} GPU"
    besides = [f"{demand.spare_cpus:g} CPUs"] if demand.spare_cpus else []
    besides += [f"{demand.spare_gpus:g} GPU"] if demand.spare_gpus else []
    what += f", and {' and '.join(besides)} besides" if besides else ""
    shown = "; ".join(
        f"{_name(node)} has {_of(node, 'CPU')} CPUs"
        + (f" and {_of(node, 'GPU')} GPUs" if demand.gpus else "")
        + f" free, room for {places[_name(node)]} workers"
        for node in sorted(alive, key=_name)
    )
    return f"{what}, but {shown or 'there is no node'}"


def _places(demand: Demand, node: Node) -> int:
    """Workers that fit on one node."""
    asked = {"CPU": demand.cpus, "GPU": demand.gpus}
    return min((int(_free(node, name) // amount) for name, amount in asked.items() if amount), default=0)


def _free(node: Node, name: str) -> float:
    return float(node.get("Available", node["Resources"]).get(name, 0))


def _of(node: Node, name: str) -> str:
    return f"{_free(node, name):g} of {float(node['Resources'].get(name, 0)):g}"


def _name(node: Node) -> str:
    return str(node.get("NodeName") or node.get("NodeManagerAddress"))
