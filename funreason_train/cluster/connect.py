"""Joins a Ray cluster or starts one on this machine, and waits for its nodes with a deadline."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .demand import Demand, Node, shortage
from .environment import forwarded
from .profile import Profile, gpu_problem

if TYPE_CHECKING:
    from omegaconf import DictConfig

_ANSWER_SECONDS = 20.0


@contextmanager
def connect(
    cluster: DictConfig | Mapping[str, Any],
    env: Mapping[str, str] | None = None,
    *,
    cpus: int | None = None,
    gpus: int | None = None,
    demand: Demand | None = None,
) -> Iterator[Profile]:
    """Holds a connection to the Ray cluster of the profile; on leaving, ends only what it started.

    Args:
        cluster: The configuration node `cluster`.
        env: Environment variables that the stage wants in its workers.
        cpus: Logical CPUs of a machine that is started here; None: its cores.
        gpus: Logical GPUs of a machine that is started here; None: its GPUs.
        demand: What the stage will ask the cluster for.

    Yields:
        The profile.

    Raises:
        UserError: if this machine cannot run the profile, no cluster answers, or nodes or free resources stay
            missing.
    """
    profile = Profile.of(cluster)
    if gpus is None and (problem := gpu_problem(profile)):
        raise UserError(problem)
    # Before Ray is imported: a worker with niceness 15 starves beside any other process.
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield profile
        return
    address = profile.joins()
    if address is not None and (why := unanswered(address)):
        raise UserError(
            f"no Ray cluster answers at {address} ({why})",
            fix="Start it, or unset RAY_ADDRESS and cluster.address to start one here",
        )
    options: dict[str, Any] = {
        "runtime_env": {"env_vars": forwarded({**profile.env, **(env or {})})},
        "logging_level": "WARNING",
        "configure_logging": True,
    }
    if address is None:
        options |= _new_machine(profile, cpus, gpus)
    try:
        ray.init(address=address or "local", **options)
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        if address is None:
            raise
        raise UserError(
            f"no Ray cluster answers at {address} ({' '.join(str(error).split())[:200]})",
            fix="Start it, or unset RAY_ADDRESS and cluster.address to start one here",
        ) from None
    try:
        if address is not None:
            wait_for_nodes(profile, _nodes, demand)
        yield profile
    finally:
        ray.shutdown()


def unanswered(address: str, seconds: float = _ANSWER_SECONDS) -> str | None:
    """Why nobody answers at an address, or None if someone does; Ray itself asks for minutes.

    Args:
        address: HOST:PORT; another one is left to Ray.
        seconds: How long is asked: the head may be about to start, or far away.
    """
    host, _, port = address.rpartition(":")
    if not host:
        return None
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            with socket.create_connection((host.strip("[]"), int(port)), max(1.0, left)):
                return None
        except OSError as error:
            if left <= 1:
                return error.strerror or str(error)
        time.sleep(1.0)


def _new_machine(profile: Profile, cpus: int | None, gpus: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {"include_dashboard": False, "num_cpus": cpus}
    options["num_gpus"] = profile.gpus_per_node if gpus is None else gpus
    if profile.object_store_bytes:
        options["object_store_memory"] = profile.object_store_bytes
    if profile.temp_dir:
        options["_temp_dir"] = os.path.abspath(os.path.expanduser(profile.temp_dir))
    return options


def _nodes() -> list[Node]:
    """The cluster's nodes, each with what is free on it."""
    import ray
    from ray._private.state import available_resources_per_node

    free = available_resources_per_node()
    return [{**node, "Available": free.get(node["NodeID"], {})} for node in ray.nodes()]


def wait_for_nodes(
    profile: Profile,
    look: Callable[[], Sequence[Node]],
    demand: Demand | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
) -> None:
    """Returns once the cluster has the profile's nodes and GPUs, and enough of them is free.

    Args:
        profile: What is expected.
        look: The nodes as they are now.
        demand: What the stage will ask for; None: whatever is there will do.
        clock: Seconds, monotonic.
        sleep: Waits for seconds.
        say: Where the missing ones are announced while waiting, each time they change.

    Raises:
        UserError: after `profile.wait_seconds`, naming what is there and what is missing.
    """
    deadline = clock() + profile.wait_seconds
    announced = None
    while (missing := _missing(profile, look(), demand)) is not None:
        if clock() >= deadline:
            raise UserError(
                f"after {profile.wait_seconds:.0f} s {missing}",
                where=f"cluster={profile.name}",
                fix="Start the launch script on the missing nodes, end what else uses them, wait longer "
                "with cluster.wait_seconds, or ask for less with "
                + (demand.setting if demand else "cluster.nodes and cluster.gpus_per_node"),
            )
        if missing != announced:
            say(f"waiting for the cluster: {missing}")
            announced = missing
        sleep(1.0)


def _missing(profile: Profile, nodes: Sequence[Node], demand: Demand | None) -> str | None:
    return missing_nodes(profile, nodes) or (shortage(demand, nodes) if demand else None)


def missing_nodes(profile: Profile, nodes: Sequence[Node]) -> str | None:
    """What the cluster lacks, in words, or None if it has all that the profile asks for."""
    here = sorted(
        (str(node.get("NodeName") or node.get("NodeManagerAddress")), int(node["Resources"].get("GPU", 0)))
        for node in nodes
        if node.get("Alive")
    )
    gpus = sum(count for _, count in here)
    whole = [name for name, count in here if count >= profile.gpus_per_node]
    if len(whole) >= profile.nodes and gpus >= profile.gpus:
        return None
    shown = ", ".join(f"{name} ({count} GPUs)" for name, count in here) or "none"
    short = [
        f"{name} has {count} of {profile.gpus_per_node} GPUs" for name, count in here if name not in whole
    ]
    absent = max(0, profile.nodes - len(here))
    lacks = [f"{absent} of {profile.nodes} nodes are missing"] if absent else []
    return f"{'; '.join(lacks + short)}; there are: {shown}"
