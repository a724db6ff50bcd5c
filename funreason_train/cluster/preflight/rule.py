"""What rules have in common: what a run needs, and a finding for each node that lacks it (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .facts import Facts
from .finding import Finding, Level


@dataclass(frozen=True)
class Expected:
    """What the run needs.

    Attributes:
        gpus: GPUs of each node; 0: none are looked at.
        nodes: How many nodes there should be.
        disk: Folder -> bytes that have to be free there; None: not known yet.
        host_memory: Bytes that have to be available on each node.
        packages: Versions as locked, by name; empty: nodes are only compared with each other.
        several: Whether nodes have to reach each other.
    """

    gpus: int = 0
    nodes: int = 1
    disk: Mapping[str, int] | None = field(default_factory=dict)
    host_memory: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        return self.nodes > 1


def failed(value: Any) -> str | None:
    return value["failed"] if isinstance(value, Mapping) and set(value) == {"failed"} else None


def values(nodes: Sequence[Facts], name: str, check: str) -> Iterator[tuple[str, Any] | Finding]:
    """Each node's value, or the finding that it could not be found out."""
    for facts in nodes:
        if name not in facts:
            continue
        if why := failed(facts[name]):
            yield Finding("warning", check, facts["node"], f"could not be looked at ({why})")
        else:
            yield facts["node"], facts[name]


#: What is wrong with a node's value, and how to fix it; None if nothing is.
Verdict = tuple[str, str] | None


def each(
    nodes: Sequence[Facts],
    name: str,
    check: str,
    rule: Callable[[str, Any], Verdict],
    fine: str = "as needed",
    level: Level = "error",
) -> Iterator[Finding]:
    """One finding for each node that breaks a rule, or one for all that keep it.

    Args:
        nodes: What is known of each.
        name: The fact that is looked at.
        check: What the findings call it.
        rule: From a node and its value.
        fine: What is said if all keep the rule.
        level: How bad it is to break it.
    """
    looked, broken = 0, 0
    for value in values(nodes, name, check):
        if isinstance(value, Finding):
            broken += 1
            yield value
            continue
        looked += 1
        if verdict := rule(*value):
            broken += 1
            yield Finding(level, check, value[0], *verdict)
    if looked and not broken:
        yield Finding("fine", check, None, fine)
