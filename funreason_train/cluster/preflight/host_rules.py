"""Rules about each machine by itself: disk, memory, limits, connections (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .facts import Facts
from .finding import Finding
from .rule import Expected, Verdict, each

_GIB = 2**30
_LEAST_SHM = 8 * _GIB  # NCCL, vLLM's workers and data loaders of 8 processes
_LEAST_FILES = 4096  # Ray's own advice for its head is 65,536; below 4,096 workers fail


def disk(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    def full(node: str, folders: Any) -> Verdict:
        for folder, state in folders.items():
            if not state["writable"]:
                return f"{folder} cannot be written", "Choose another run_dir"
            needed = (expected.disk or {}).get(folder, 0)
            if state["free"] < needed:
                free = f"{folder} has {state['free'] / _GIB:,.1f} GiB free"
                fix = "Free some, choose another run_dir, or keep fewer checkpoints"
                return f"{free}, and the checkpoints need {needed / _GIB:,.1f}", fix
        return None

    if nodes and expected.disk is None:
        yield Finding(
            "unchecked", "disk", None, "what checkpoints need is not known before the model is here"
        )
    total = sum((expected.disk or {}).values())
    fine = f"room for {total / _GIB:,.1f} GiB of checkpoints" if total else "writable"
    yield from each(nodes, "disk", "disk", full, fine)


def host(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    def little(node: str, memory: Any) -> Verdict:
        if memory["available"] >= expected.host_memory:
            return None
        free, planned = (size / _GIB for size in (memory["available"], expected.host_memory))
        said = f"{free:,.0f} GiB are available of the {planned:,.0f} that are planned"
        return said, "End other processes there"

    def small(node: str, free: Any) -> Verdict:
        if free >= _LEAST_SHM:
            return None
        fix = "In a container: --shm-size=64g, or an emptyDir of medium Memory"
        return f"{free / _GIB:,.1f} GiB free, NCCL and vLLM need {_LEAST_SHM / _GIB:.0f}", fix

    def few(node: str, limit: Any) -> Verdict:
        if limit < 0 or limit >= _LEAST_FILES:
            return None
        return f"the limit is {limit}, Ray needs thousands", "ulimit -n 65536"

    yield from each(nodes, "memory", "host memory", little, level="warning")
    if expected.gpus:
        yield from each(nodes, "shm", "/dev/shm", small)
    yield from each(nodes, "open_files", "open files", few, level="warning")


def hosts(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    def silent(node: str, hosts: Any) -> Verdict:
        fix = "Open the port in the firewall, or leave out what asks for it (rl.loggers, sft.report_to)"
        return next(
            ((f"{host} does not answer", fix) for host, answers in hosts.items() if not answers), None
        )

    nodes = [facts for facts in nodes if facts.get("hosts")]  # whoever was asked to reach none is left out
    yield from each(nodes, "hosts", "connections", silent)
