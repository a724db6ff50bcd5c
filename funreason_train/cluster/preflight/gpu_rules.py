"""Rules about GPUs and what their kernels need (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .facts import Facts
from .finding import Finding
from .rule import Expected, each

#: The lock's torch is built for CUDA 13.0, as launch/bootstrap.sh says as well.
LEAST_DRIVER = 580
_FREE_SHARE = 0.9  # of a GPU's memory


def gpu_count(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    if not expected.gpus:
        yield Finding(
            "unchecked",
            "GPU",
            None,
            "driver, memory, NVLink, compiler and the matrix probe need a machine with GPUs",
        )
        return

    def few(node: str, gpus: Any) -> Finding | None:
        if len(gpus) >= expected.gpus:
            return None
        return Finding(
            "error",
            "GPU",
            node,
            f"{len(gpus)} GPUs where {expected.gpus} are needed",
            "Check nvidia-smi there, or ask for less with cluster.gpus_per_node",
        )

    yield from each(nodes, "gpus", "GPU", few, f"{expected.gpus} on every node")


def driver(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    def old(node: str, gpus: Any) -> Finding | None:
        versions = {gpu["driver"] for gpu in gpus}
        for version in versions:
            major = version.split(".")[0]
            if major.isdigit() and int(major) < LEAST_DRIVER:
                return Finding(
                    "error",
                    "driver",
                    node,
                    f"the NVIDIA driver is {version}, CUDA 13 needs {LEAST_DRIVER} or newer",
                    "Update the driver on this node",
                )
        return None

    yield from each(nodes, "gpus", "driver", old)


def free_memory(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    busy = {facts["node"]: facts.get("busy") for facts in nodes}

    def used(node: str, gpus: Any) -> Finding | None:
        taken = [gpu for gpu in gpus if gpu["free"] < _FREE_SHARE * gpu["total"]]
        if not taken:
            return None
        shown = ", ".join(
            f"GPU {gpu['index']} has {gpu['free'] / 1024:.0f} of {gpu['total'] / 1024:.0f} GiB"
            for gpu in taken
        )
        processes = busy.get(node)
        who = f" ({'; '.join(processes)})" if isinstance(processes, list) and processes else ""
        return Finding(
            "error", "GPU memory", node, f"in use: {shown} free{who}", "End what uses the GPUs there"
        )

    yield from each(nodes, "gpus", "GPU memory", used, "free on every GPU")


def nvlink(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    if expected.gpus > 1:
        yield from each(
            nodes,
            "nvlink",
            "NVLink",
            lambda node, linked: (
                None
                if linked
                else Finding(
                    "warning",
                    "NVLink",
                    node,
                    "the GPUs are not joined by NVLink: gathering weights will be slow",
                )
            ),
        )


def compiler(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    yield from each(
        nodes,
        "compiler",
        "compiler",
        lambda node, path: (
            None
            if path
            else Finding(
                "error",
                "compiler",
                node,
                "no C compiler, which Triton needs at run time",
                "Install gcc on this node",
            )
        ),
    )
    yield from each(
        nodes,
        "headers",
        "headers",
        lambda node, there: (
            None
            if there
            else Finding(
                "error",
                "headers",
                node,
                "Python.h is missing, which Triton needs at run time",
                "Install python3-dev on this node",
            )
        ),
    )


def matmul(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    yield from each(
        nodes,
        "matmul",
        "matrix probe",
        lambda node, said: (
            None
            if said == "ok"
            else Finding(
                "error",
                "matrix probe",
                node,
                f"a half-precision product that H20s are known to fail on {said}",
                "Update cuBLAS (install requirements/gpu.lock) or take the node out",
            )
        ),
    )
