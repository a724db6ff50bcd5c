"""Rules about GPUs and what their kernels need (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .facts import Facts
from .finding import Finding
from .rule import Expected, Verdict, each, failed

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

    def few(node: str, gpus: Any) -> Verdict:
        if len(gpus) >= expected.gpus:
            return None
        fix = "Check nvidia-smi there, or ask for less with cluster.gpus_per_node"
        return f"{len(gpus)} GPUs where {expected.gpus} are needed", fix

    yield from each(nodes, "gpus", "GPU", few, f"{expected.gpus} on every node")


def driver(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    def old(node: str, gpus: Any) -> Verdict:
        for version in {gpu["driver"] for gpu in gpus}:
            major = version.split(".")[0]
            if major.isdigit() and int(major) < LEAST_DRIVER:
                said = f"the NVIDIA driver is {version}, CUDA 13 needs {LEAST_DRIVER} or newer"
                return said, "Update the driver on this node"
        return None

    yield from each(nodes, "gpus", "driver", old)


def free_memory(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    busy = {facts["node"]: facts.get("busy") for facts in nodes}

    def used(node: str, gpus: Any) -> Verdict:
        told = [gpu for gpu in gpus if None not in (gpu["free"], gpu["total"])]
        taken = [gpu for gpu in told if gpu["free"] < _FREE_SHARE * gpu["total"]]
        if not taken:
            return None
        shown = ", ".join(
            f"GPU {gpu['index']} has {gpu['free'] / 1024:.0f} of {gpu['total'] / 1024:.0f} GiB"
            for gpu in taken
        )
        processes = busy.get(node)
        who = f" ({'; '.join(processes)})" if isinstance(processes, list) and processes else ""
        return f"in use: {shown} free{who}", "End what uses the GPUs there"

    yield from each(nodes, "gpus", "GPU memory", used, "free on every GPU")


def nvlink(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    slow = ("the GPUs are not joined by NVLink: gathering weights will be slow", "")
    if expected.gpus > 1:
        yield from each(
            nodes, "nvlink", "NVLink", lambda _, linked: None if linked else slow, level="warning"
        )


def compiler(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    lacking = ("no C compiler, which Triton needs at run time", "Install gcc on this node")
    yield from each(nodes, "compiler", "compiler", lambda _, path: None if path else lacking)
    missing = ("Python.h is missing, which Triton needs at run time", "Install python3-dev on this node")
    yield from each(nodes, "headers", "headers", lambda _, there: None if there else missing)


def matmul(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    unseen = {facts["node"] for facts in nodes if failed(facts.get("gpus")) or not facts.get("gpus")}

    def wrong(node: str, said: Any) -> Verdict:
        if said == "ok":
            return None
        if node in unseen:
            return f"no GPU can be used there: a program {said}", "Check nvidia-smi and the job's GPUs"
        fix = "Update cuBLAS (install requirements/gpu.lock) or take the node out"
        return f"a half-precision product that H20s are known to fail on {said}", fix

    yield from each(nodes, "matmul", "matrix probe", wrong)
