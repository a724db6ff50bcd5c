"""A device profile (`configs/cluster/*.yaml`) and whether this machine can run it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_ADDRESS = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_MOST_PORT = 65_535


def address_problem(address: str) -> str | None:
    """Why no cluster can be joined by an address, or None."""
    form = _ADDRESS.fullmatch(address)
    if address in ("auto", "local") or (form and 0 < int(form[1]) <= _MOST_PORT):
        return None
    return (
        "must be HOST:PORT of the head of a Ray cluster, such as 10.0.0.1:6379 (Ray's dashboard and client, "
        "http:// and ray://, have other addresses)"
    )


@dataclass(frozen=True)
class Profile:
    """The machines of one run.

    Attributes:
        name: The profile's name, as in `cluster=NAME`.
        device: `cpu` or `cuda`.
        nodes: Machines.
        gpus_per_node: GPUs of each machine; 0 for cpu.
        cpus_per_worker: CPUs and OpenMP threads of one training process; None: the cores shared out.
        address: The Ray cluster to join; None: the one in RAY_ADDRESS or a new one.
        object_store_bytes: Ray's shared memory on a machine that we start; None: Ray's default.
        temp_dir: Ray's folder on a machine that we start; None: Ray's default.
        wait_seconds: Patience with nodes that have not joined yet.
        env: Further environment variables of the workers.
    """

    name: str
    device: str
    nodes: int
    gpus_per_node: int
    cpus_per_worker: int | None
    address: str | None
    object_store_bytes: int | None
    temp_dir: str | None
    wait_seconds: float
    env: dict[str, str]

    @classmethod
    def of(cls, cluster: DictConfig | Mapping[str, Any]) -> Profile:
        """The profile in the configuration node `cluster`."""
        return cls(
            name=str(cluster["name"]),
            device=str(cluster["device"]),
            nodes=int(cluster["nodes"]),
            gpus_per_node=int(cluster["gpus_per_node"]),
            cpus_per_worker=cluster["cpus_per_worker"],
            address=cluster["address"],
            object_store_bytes=cluster["object_store_bytes"],
            temp_dir=cluster["temp_dir"],
            wait_seconds=float(cluster["wait_seconds"]),
            env={str(name): str(value) for name, value in cluster["env"].items()},
        )

    @property
    def gpus(self) -> int:
        """GPUs of all machines together."""
        return self.nodes * self.gpus_per_node

    def joins(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The address of the Ray cluster to join, or None if one is to be started here.

        Raises:
            UserError: if it is none that Ray's drivers take, which Ray says in a traceback.
        """
        address = self.address or environ.get("RAY_ADDRESS") or None
        if address is not None and (problem := address_problem(address)):
            raise UserError(
                problem, where=f"{'cluster.address' if self.address else 'RAY_ADDRESS'}={address}"
            )
        return address

    def threads(self, workers: int) -> int:
        """OpenMP threads of each of `workers` training processes."""
        if self.cpus_per_worker:
            return self.cpus_per_worker
        return max(1, available_cores() // max(1, workers // self.nodes))


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> int:
    """Counts this machine's NVIDIA GPUs from the kernel's files; imports and starts nothing.

    Args:
        root: Where `dev` and `proc` are, for tests.
        environ: Where CUDA_VISIBLE_DEVICES is looked up.
    """
    devices = len(list((root / "dev").glob("nvidia[0-9]*")))
    cards = len(list((root / "proc/driver/nvidia/gpus").glob("*")))
    found = max(devices, cards)
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return found
    return min(found, len([part for part in chosen.split(",") if part.strip() not in ("", "-1")]))


def gpu_problem(
    profile: Profile, environ: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> str | None:
    """Why this machine cannot hold the profile's GPUs, as a sentence with the way out, or None.

    A cluster that is joined is counted after connecting instead (`connect`).
    """
    if profile.device != "cuda" or profile.joins(environ):
        return None
    here = visible_gpus(root, environ)
    if here >= profile.gpus_per_node > 0 and profile.nodes == 1:
        return None
    has = "no GPU" if here == 0 else f"{here} GPU{'s' if here > 1 else ''}"
    needs = f"{profile.nodes} x {profile.gpus_per_node} GPUs"
    if here >= profile.gpus_per_node:
        return (
            f"cluster={profile.name} needs {needs} and no Ray cluster was named. Start the launch script on "
            "every node (launch/*.sh), or set RAY_ADDRESS to a running cluster"
        )
    return (
        f"cluster={profile.name} needs {needs} but this machine has {has}. dry_run=true shows what would "
        "run, cluster=cpu runs here, and RAY_ADDRESS names a cluster that has them"
    )


def launch_problem(profile: Profile, environ: Mapping[str, str] = os.environ) -> str | None:
    """Why a launch script on too few machines would wait in vain for the profile's, or None.

    Args:
        profile: What the stage will wait for.
        environ: Where the script says on how many machines it was started, FUNREASON_NODES.
    """
    started = environ.get("FUNREASON_NODES", "")
    if not started.isdecimal() or int(started) >= profile.nodes:
        return None
    return (
        f"cluster={profile.name} has {profile.nodes} machines, but the launch script was started for "
        f"{started} (NNODES, or SLURM's nodes): start it on all of them, or choose a profile of fewer"
    )
