"""The yield of a run in figures: what was accepted, what was lost where, and what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..explore.graph import Graph

PHASES = ("environment", "trace", "endpoint", "query", "chain", "replay")


def funnel_of(told: Iterable[Mapping[str, Any]], graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """The funnel.

    Args:
        told: What is told of every sample up to the last one that counts (`Samples.make`).
        graphs: What was learnt of each environment.

    Returns:
        `samples`, `accepted`, `given_up`; `draws`; `lost` (phase -> reason -> draws); `kinds` and
        `environments` (-> `{"samples", "accepted"}`); `tries` (of turns, how many needed 1, 2, … tries),
        `hints_refused`, `critiques` (reason -> count); `calls` (a trace's calls -> count), `distance` (edges
        to the target -> count), `jump` (calls that a query hides -> count), `roles` (of agents that are
        models -> what asking them took, in samples that are finished), `executed_calls`; `coverage`
        (environment -> shares of tools and edges).
    """
    counts: Counter[str] = Counter()
    lost: dict[str, Counter[str]] = {phase: Counter() for phase in PHASES}
    kinds: dict[str, Counter[str]] = {}
    environments: dict[str, Counter[str]] = {}
    tries: Counter[int] = Counter()
    calls: Counter[int] = Counter()
    distance: Counter[int] = Counter()
    critiques: Counter[str] = Counter()
    jumps: Counter[int] = Counter()
    roles: dict[str, Counter[str]] = {}
    tools: dict[str, Counter[str]] = {name: Counter() for name in graphs}
    pairs: dict[str, set[str]] = {name: set() for name in graphs}
    for one in told:
        counts["samples"] += 1
        counts["accepted"] += one["ok"]
        counts["draws"] += one["draws"]
        for groups, name in ((kinds, one["kind"]), (environments, one["environment"])):
            groups.setdefault(name, Counter()).update({"samples": 1, "accepted": int(one["ok"])})
        for place, number in one["lost"].items():
            phase, _, reason = place.partition("/")
            lost[phase][reason] += number
        for role, used in one.get("roles", {}).items():
            roles.setdefault(role, Counter()).update(used)
        if not one["ok"]:
            continue
        figures = one["figures"]
        tries.update(figures["tries"])
        counts["hints_refused"] += figures["hints_refused"]
        critiques.update(figures["reasons"])
        calls.update(figures["calls"])
        distance.update(figures["distances"])
        jumps.update(figures["jumps"])
        counts["executed_calls"] += figures["sampled_calls"]
        tools[one["environment"]].update(figures["tools"])
        pairs[one["environment"]].update(figures["pairs"])
    return {
        "format": 1,
        "samples": counts["samples"],
        "accepted": counts["accepted"],
        "given_up": counts["samples"] - counts["accepted"],
        "draws": counts["draws"],
        "lost": {phase: dict(sorted(reasons.items())) for phase, reasons in lost.items()},
        "kinds": {name: dict(one) for name, one in sorted(kinds.items())},
        "environments": {name: dict(one) for name, one in sorted(environments.items())},
        "tries": {str(number): tries[number] for number in sorted(tries)},
        "hints_refused": counts["hints_refused"],
        "critiques": dict(sorted(critiques.items())),
        "calls": {str(number): calls[number] for number in sorted(calls)},
        "distance": {str(number): distance[number] for number in sorted(distance)},
        "jump": {str(number): jumps[number] for number in sorted(jumps)},
        "roles": {role: dict(sorted(used.items())) for role, used in sorted(roles.items())},
        "executed_calls": counts["executed_calls"],
        "coverage": {
            name: {
                "tools": round(len(tools[name]) / max(1, len(graph.tools)), 4),
                "edges": round(_followed(pairs[name], graph) / max(1, len(graph.edges())), 4),
                "calls": dict(sorted(tools[name].items())),
            }
            for name, graph in graphs.items()
        },
    }


def _followed(pairs: set[str], graph: Graph) -> int:
    """How many edges of a graph stand among pairs of calls, `FIRST>LATER`, of one turn."""
    return sum(f"{one}>{two}" in pairs for one, two in graph.edges())


def in_words(funnel: Mapping[str, Any], sampling: Mapping[str, Mapping[str, Any]], style: str) -> str:
    """What the three phases did, for the command's last line.

    Args:
        funnel: As `funnel_of` returns it.
        sampling: Environment -> how directed sampling compares with uniform sampling; empty if not measured.
        style: `synth.query.style`.
    """
    phase1 = (
        f"phase I: {funnel['executed_calls']:,} calls executed in {len(funnel['environments'])} environments"
    )
    measured = [one for one in sampling.values() if one]
    if measured:
        directed, uniform = (
            [sum(one[policy][key] for one in measured) / len(measured) for key in ("reached", "calls")]
            for policy in ("directed", "uniform")
        )
        phase1 += f", directed sampling reaches {directed[0]:.0%} of its targets in {directed[1]:.1f} calls"
        phase1 += f" (uniform: {uniform[0]:.0%} in {uniform[1]:.1f})"
    chains, first = sum(funnel["tries"].values()), funnel["tries"].get("1", 0)
    phase3 = f"phase III: {chains:,} guided chains, {chains - first:,} of them with a hint after a failed try"
    return f"{phase1}; phase II: {style} queries, checked by code; {phase3}"
