"""From facts to findings (pure): each rule is one function of the facts of all nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from . import gpu_rules, host_rules, node_rules
from .facts import Facts
from .finding import Finding
from .rule import Expected

_RULES: tuple[Callable[[Sequence[Facts], Expected], Iterable[Finding]], ...] = (
    node_rules.versions,
    node_rules.clock,
    gpu_rules.gpu_count,
    gpu_rules.driver,
    gpu_rules.free_memory,
    gpu_rules.nvlink,
    gpu_rules.compiler,
    gpu_rules.matmul,
    node_rules.routes,
    node_rules.shared,
    node_rules.files,
    host_rules.disk,
    host_rules.host,
    host_rules.hosts,
)


def judge(nodes: Sequence[Facts], expected: Expected) -> list[Finding]:
    """Every finding, errors first.

    Args:
        nodes: The facts of each node.
        expected: What the run needs.
    """
    silent = [
        Finding(
            "error",
            "answer",
            facts["node"],
            "did not answer the preflight in time",
            "Look at that node: is it overloaded, or its file system hanging?",
        )
        for facts in nodes
        if facts.get("silent")
    ]
    told = [facts for facts in nodes if not facts.get("silent")]
    return by_level([*silent, *(finding for rule in _RULES for finding in rule(told, expected))])


def by_level(found: Iterable[Finding]) -> list[Finding]:
    """Findings in the order of their weight, errors first."""
    order = ("error", "warning", "unchecked", "fine")
    return sorted(found, key=lambda finding: order.index(finding.level))
