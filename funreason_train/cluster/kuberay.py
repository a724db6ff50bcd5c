"""A stage as a KubeRay job: one RayJob manifest for the machines of a profile (pure).

The API is ray.io/v1 (KubeRay, "RayJob Quickstart"). The head is one of the GPU machines, as with the launch
scripts, and the driver, which KubeRay starts on the head, finds the cluster in RAY_ADDRESS.
"""

from __future__ import annotations

import importlib.metadata
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .profile import Profile
from .topology import chosen_profile

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: What only the user knows, to be put in place of these words.
IMAGE, CLAIM = "IMAGE", "CLAIM"
#: Where the claim is mounted on every machine; run_dir has to lie below it.
MOUNT = "/shared"
#: What stands above the manifest.
HEAD = f"""\
# A KubeRay job (ray.io/v1). Before `kubectl apply -f` this file: put your image of ./Dockerfile in the place
# of {IMAGE}, the claim of a shared volume in the place of {CLAIM}, and let run_dir lie below {MOUNT}, as
# well as the data, the model and any file of your own that the entrypoint names.
"""
_SECONDS_AFTER = 600  # how long a finished job stays to be looked at
_SPARE_HOST_GIB = 64  # left to the machine's own services


def ray_job(
    cluster: DictConfig | Mapping[str, Any], stage: str, words: Sequence[str] = (), ray: str | None = None
) -> dict[str, Any]:
    """The manifest, as the mapping that YAML holds.

    Args:
        cluster: The configuration node `cluster`, of a profile with GPUs.
        stage: The command.
        words: The user's settings, without `dry_run`.
        ray: Ray's version; None: the one that is installed.
    """
    profile = Profile.of(cluster)
    memory = int(cluster["memory"]["host_gib"]) - _SPARE_HOST_GIB
    cpus = profile.gpus_per_node * (profile.cpus_per_worker or 8)
    pod = _pod(cpus, memory, profile.gpus_per_node)
    group = {"rayStartParams": {}, "template": pod}
    groups: dict[str, Any] = {"headGroupSpec": group}
    if others := profile.nodes - 1:
        count = {"replicas": others, "minReplicas": others, "maxReplicas": others}
        groups["workerGroupSpecs"] = [{"groupName": "workers", **count, **group}]
    shipped, kept = chosen_profile(profile, words)
    entry = ["funreason-train", stage, *([f"cluster={profile.name}"] if shipped else []), *kept]
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": f"funreason-{stage}"},
        "spec": {
            "entrypoint": shlex.join(entry),
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": _SECONDS_AFTER,
            # The same command continues an interrupted run.
            "backoffLimit": 2,
            "rayClusterSpec": {"rayVersion": ray or importlib.metadata.version("ray"), **groups},
        },
    }


def _pod(cpus: int, memory: int, gpus: int) -> dict[str, Any]:
    amounts = {"cpu": str(cpus), "memory": f"{memory}Gi", "nvidia.com/gpu": str(gpus)}
    container = {
        "name": "ray",
        "image": IMAGE,
        "env": [{"name": "RAY_USAGE_STATS_ENABLED", "value": "0"}],
        "resources": {"limits": amounts, "requests": amounts},
        # NCCL and PyTorch's data loaders share memory there; a container's default is 64 MiB.
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "shared", "mountPath": MOUNT}],
    }
    volumes = [
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        {"name": "shared", "persistentVolumeClaim": {"claimName": CLAIM}},
    ]
    return {"spec": {"containers": [container], "volumes": volumes}}
