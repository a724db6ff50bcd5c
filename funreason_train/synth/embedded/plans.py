"""Which tools a task needs, and which tools are needed and offered together in which split.

A set of tools that one task needs belongs to one split by its hash, and so does a set that is offered
together. A held-out task with several needed tools needs a set that no training task needs, and every
held-out task offers one that no training task offers.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from functools import cache
from typing import Final, NamedTuple

from ...environments import make_environment
from .phrases import TOOLS
from .words import Split, split_of
from .world import ENDINGS, LOOKUPS, PRODUCTS, TABLES

CATEGORIES: Final = ("single", "chain", "follow_up", "parallel", "missing", "no_tool", "mixed")
"""What a task tests: one call; a lookup whose answer the next call needs; a second turn about the first one's
record; two calls in one response; a value that has to be asked for; nothing fits; two of these in a row."""

WORLDS: Final = ("helpdesk", "shop", "travel")
"""The environments that this generator has phrases for."""

_SALT: Final = "150 "  # of a set's hash; leaves every split lookups in every environment


class Ask(NamedTuple):
    """One request: a tool, and how the records in it are pointed at.

    Attributes:
        tool: The tool that serves it.
        lookups: The tools that find the id of its first parameter, in order; empty when the user says the id.
    """

    tool: str
    lookups: tuple[str, ...] = ()


class Plan(NamedTuple):
    """The tools of one turn or, for `follow_up` and `missing`, of two.

    Attributes:
        kind: A category.
        asks: The requests, in order.
        slot: The parameter that the user leaves out (`missing`), or that ties two turns together
        (`follow_up`).
    """

    kind: str
    asks: tuple[Ask, ...]
    slot: str = ""

    @property
    def needed(self) -> frozenset[str]:
        """The tools that the gold calls use."""
        if self.kind == "no_tool":
            return frozenset()
        return frozenset(name for ask in self.asks for name in (*ask.lookups, ask.tool))

    @property
    def absent(self) -> frozenset[str]:
        """The tools that must not be offered."""
        return frozenset(ask.tool for ask in self.asks) if self.kind == "no_tool" else frozenset()


@cache
def tool_names(environment: str) -> tuple[str, ...]:
    """The tools of an environment, in the order of its documents."""
    return tuple(tool["name"] for tool in make_environment(environment).tools())


@cache
def parameters(environment: str, tool: str) -> tuple[str, ...]:
    """The parameters of a tool."""
    document = next(t for t in make_environment(environment).tools() if t["name"] == tool)
    return tuple(document["parameters"]["properties"])


def needed_split(needed: Collection[str]) -> Split | None:
    """Which split owns a set of tools that one task needs; None for fewer than two, which all may use."""
    return split_of(_SALT + " ".join(sorted(needed))) if len(needed) > 1 else None


def offered_split(offered: Collection[str]) -> Split:
    """Which split owns a set of tools that are offered together."""
    return split_of(" ".join(sorted(offered)))


def _chains(environment: str, tool: str) -> list[tuple[str, ...]]:
    """The ways of looking up the id that a tool's first parameter takes."""
    subject = parameters(environment, tool)[0]
    if subject not in LOOKUPS:
        return []
    lookup = LOOKUPS[subject].tool
    return [(lookup,), *((*inner, lookup) for inner in _chains(environment, lookup))]


@cache
def plans(environment: str, kind: str) -> tuple[Plan, ...]:
    """Every plan of a kind other than `mixed`."""
    tools = tool_names(environment)
    subject = {tool: parameters(environment, tool)[0] for tool in tools}
    if kind in ("single", "no_tool"):
        return tuple(Plan(kind, (Ask(tool),)) for tool in tools)
    if kind == "chain":
        return tuple(
            Plan(kind, (Ask(tool, chain),)) for tool in tools for chain in _chains(environment, tool)
        )
    if kind == "parallel":
        pairs = itertools.combinations_with_replacement(tools, 2)
        return tuple(Plan(kind, (Ask(a), Ask(b))) for a, b in pairs)
    if kind == "missing":
        return tuple(Plan(kind, (Ask(tool),), slot) for tool in tools for slot in TOOLS[tool].without)
    if kind == "follow_up":
        return tuple(
            Plan(kind, (Ask(first), Ask(second)), subject[second])
            for first, second in itertools.permutations(tools, 2)
            if subject[second] in TABLES
            and (
                PRODUCTS.get(first) == subject[second]
                or (subject[second] in LOOKUPS and LOOKUPS[subject[second]].tool == first)
                or (subject[first] == subject[second] and first not in ENDINGS)
            )
        )
    raise ValueError(f"{kind} is not one of {', '.join(CATEGORIES[:-1])}")


@cache
def plans_of(split: Split, kind: str) -> tuple[tuple[str, Plan], ...]:
    """Every environment and plan of a kind other than `mixed` whose tools a split may combine."""
    return tuple(
        (environment, plan)
        for environment in WORLDS
        for plan in plans(environment, kind)
        if needed_split(plan.needed) in (None, split)
    )
