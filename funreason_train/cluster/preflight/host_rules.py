"""Rules about each machine by itself: disk, memory, limits, connections (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .facts import Facts
from .finding import Finding
from .rule import Expected, each

_GIB = 2**30
_LEAST_SHM = 8 * _GIB  # NCCL, vLLM's workers and data loaders of 8 processes
_LEAST_FILES = 4096  # Ray's own advice for its head is 65,536; below 4,096 workers fail


def disk(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    def full(node: str, folders: Any) -> Finding | None:
        for folder, state in folders.items():
            if not state["writable"]:
                return Finding("error", "disk", node, f"{folder} cannot be written", "Choose another run_dir")
            needed = (expected.disk or {}).get(folder, 0)
            if state["free"] < needed:
                return Finding(
                    "error",
                    "disk",
                    node,
                    f"{folder} has {state['free'] / _GIB:,.1f} GiB free, and the checkpoints need "
                    f"{needed / _GIB:,.1f}",
                    "Free some, choose another run_dir, or keep fewer checkpoints",
                )
        return None

    if nodes and expected.disk is None:
        yield Finding(
            "unchecked", "disk", None, "what checkpoints need is not known before the model is here"
        )
    total = sum((expected.disk or {}).values())
    yield from each(
        nodes,
        "disk",
        "disk",
        full,
        f"room for {total / _GIB:,.1f} GiB of checkpoints" if total else "writable",
    )


def host(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    yield from each(
        nodes,
        "memory",
        "host memory",
        lambda node, memory: (
            None
            if memory["available"] >= expected.host_memory
            else Finding(
                "warning",
                "host memory",
                node,
                f"{memory['available'] / _GIB:,.0f} GiB are available of the "
                f"{expected.host_memory / _GIB:,.0f} that are planned",
                "End other processes there",
            )
        ),
    )
    if expected.gpus:
        yield from each(
            nodes,
            "shm",
            "/dev/shm",
            lambda node, free: (
                None
                if free >= _LEAST_SHM
                else Finding(
                    "error",
                    "/dev/shm",
                    node,
                    f"{free / _GIB:,.1f} GiB free, NCCL and vLLM need {_LEAST_SHM / _GIB:.0f}",
                    "In a container: --shm-size=64g, or an emptyDir of medium Memory",
                )
            ),
        )
    yield from each(
        nodes,
        "open_files",
        "open files",
        lambda node, limit: (
            None
            if limit < 0 or limit >= _LEAST_FILES
            else Finding(
                "warning",
                "open files",
                node,
                f"the limit is {limit}, Ray needs thousands",
                "ulimit -n 65536",
            )
        ),
    )


def hosts(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    nodes = [facts for facts in nodes if facts.get("hosts")]  # whoever was asked to reach none is left out
    yield from each(
        nodes,
        "hosts",
        "connections",
        lambda node, hosts: next(
            (
                Finding(
                    "error",
                    "connections",
                    node,
                    f"{host} does not answer",
                    "Open the port in the firewall, or leave out what asks for it (rl.loggers, sft.loggers)",
                )
                for host, answers in hosts.items()
                if not answers
            ),
            None,
        ),
    )
