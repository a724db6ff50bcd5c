"""Directed sampling against uniform sampling, on the same targets and worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from ...environments import Environment
from .directions import Directions
from .draw.arguments import Drawer
from .graph import Graph
from .learn import Told, untold
from .sampler import Policy, Sampler

POLICIES: tuple[Policy, ...] = ("directed", "uniform")


def measure(
    environment: Environment,
    scenario: Callable[[Random], Mapping[str, Any]],
    graph: Graph,
    seed: str,
    traces: int,
    most: int,
    told: Told = untold,
) -> dict[str, dict[str, Any]]:
    """Samples as many traces with each policy, every tool being the target in turn that ever succeeded.

    Uniform sampling draws among the legal tools: a stronger opponent than drawing among all.

    Args:
        environment: Reset for each trace.
        scenario: Draws a configuration.
        graph: What was learnt.
        seed: Of all draws.
        traces: How many a policy.
        most: Calls after which a trace is given up; failed ones count.
        told: Hears of every trace.

    Returns:
        Policy -> `{"traces", "reached" (share), "calls" (mean up to the target, or until given up), "tools"
        (share of tools called with success), "edges" (share of edges followed)}`.
    """
    directions, known = Directions(graph), graph.edges()
    targets = [name for name in directions.targets if graph.tools[name].ok] or list(directions.targets)
    found: dict[str, dict[str, Any]] = {}
    for policy in POLICIES:
        reached = calls = 0
        tools: set[str] = set()
        edges: set[tuple[str, str]] = set()
        for number in range(traces):
            told(f"measuring {policy} sampling, trace {number + 1} of {traces}")
            rng = Random(f"{seed}/measure/{number}")
            config = scenario(rng)
            environment.reset(config)
            sampler = Sampler(environment, graph, directions, Drawer(graph, config), rng, most=most)
            sampled = sampler.turn(targets[number % len(targets)], 0, policy)
            reached += sampled.reached
            calls += sampled.calls_to_target
            called: set[str] = set()
            for one in sampler.history:
                edges |= {(before, one.call.name) for before in called if (before, one.call.name) in known}
                called.add(one.call.name)
            tools |= called
        found[policy] = {
            "traces": traces,
            "reached": round(reached / max(1, traces), 4),
            "calls": round(calls / max(1, traces), 3),
            "tools": round(len(tools) / max(1, len(graph.tools)), 4),
            "edges": round(len(edges) / len(known), 4) if known else 1.0,
        }
    return found
