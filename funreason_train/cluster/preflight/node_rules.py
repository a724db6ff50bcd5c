"""Rules about what nodes have to have in common (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .facts import Facts
from .finding import Finding
from .rule import Expected, Verdict, each, failed, values

_MOST_SECONDS_APART = 60.0


def versions(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    """Versions differ between nodes or from the lock (ray#44063, ray#50511, verl#7351)."""
    seen: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for facts in nodes:
        packages = {} if failed(facts["packages"]) else facts["packages"]
        for name, version in {"Python": facts["python"], **packages}.items():
            seen[name][str(version)].append(facts["node"])
    right = True
    for name, versions in seen.items():
        if len(versions) > 1:
            right = False
            shown = "; ".join(
                f"{version} on {', '.join(where)}" for version, where in sorted(versions.items())
            )
            yield Finding(
                "error",
                "versions",
                None,
                f"{name} is {shown}",
                "Install the same lock on every node: bash launch/bootstrap.sh",
            )
        elif (locked := expected.packages.get(name)) and not _same(next(iter(versions)), locked):
            right = False
            yield Finding(
                "error",
                "versions",
                None,
                f"{name} is {next(iter(versions))}, the lock says {locked}",
                "Install the lock: bash launch/bootstrap.sh",
            )
    if right:
        yield Finding(
            "fine" if expected.packages else "unchecked",
            "versions",
            None,
            " and ".join(
                (["the same on every node"] if len(nodes) > 1 else [])
                + ["as locked" if expected.packages else "not compared with the lock, which is not there"]
            ),
        )


def _same(version: str, locked: str) -> bool:
    """Whether a version is the locked one; a build's own label (`+cu130`) counts only if the lock has one."""
    return version == locked or ("+" not in locked and version.partition("+")[0] == locked)


def clock(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    """Certificates, tokens and the order of logs depend on the clock."""
    if len(nodes) < 2:
        return
    # The one in the middle: should the first node's clock be wrong, the others are not.
    reference = sorted(nodes, key=lambda facts: facts["time"])[(len(nodes) - 1) // 2]
    wrong = [facts for facts in nodes if abs(facts["time"] - reference["time"]) > _MOST_SECONDS_APART]
    for facts in wrong:
        apart = facts["time"] - reference["time"]
        side = "ahead of" if apart > 0 else "behind"
        yield Finding(
            "error",
            "clock",
            facts["node"],
            f"its clock is {abs(apart):,.0f} s {side} that of {reference['node']}",
            "Set it with the time service (chronyd or systemd-timesyncd)",
        )
    if not wrong:
        yield Finding("fine", "clock", None, "the nodes agree")


def routes(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    if not expected.several:
        return
    lost = ("has no route to the head", "Check HEAD_ADDR and the network of this node")
    fine = "every node has a route to the head"
    yield from each(nodes, "route", "network", lambda _, route: None if route["address"] else lost, fine)


def shared(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    """A file written here has to be read there, in both directions."""
    if not expected.several:
        return
    # A node that could not write is told as that, by itself and by its disk, and not by everyone else again.
    everyone = {facts["node"] for facts in nodes if not failed(facts.get("shared"))}

    def blind(node: str, seen: Any) -> Verdict:
        if seen is None or not (missing := sorted(everyone - set(seen))):
            return None
        fix = "run_dir has to lie on a file system that all nodes share"
        return f"does not see what {', '.join(missing)} wrote", fix

    yield from each(nodes, "shared", "shared folder", blind, "written and read by every node")


def files(nodes: Sequence[Facts], expected: Expected) -> Iterator[Finding]:
    """Model, tokenizer and data are readable, and the same everywhere."""
    seen: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for value in values(nodes, "files", "files"):
        if isinstance(value, Finding):
            yield Finding(
                "error", "files", value.node, value.what, "Model and data have to be readable on every node"
            )
            continue
        node, files = value
        for file, print_ in files.items():
            seen[file][print_].append(node)
    differing = {file: prints for file, prints in seen.items() if len(prints) > 1}
    for file, prints in differing.items():
        groups = " and ".join(", ".join(where) for where in prints.values())
        yield Finding(
            "error",
            "files",
            None,
            f"{file} differs between {groups}",
            "Put it on a file system that all nodes share",
        )
    if seen and not differing:
        yield Finding("fine", "files", None, f"{len(seen)} read, the same on every node")
