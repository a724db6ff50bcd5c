"""A world that does not show what it keeps: what a call needs stays, and nothing that failed is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments import Environment, Result
from funreason_train.environments.tables import TableWorld
from funreason_train.environments.tools import tool
from funreason_train.synth.agents.offline import OfflineAgents
from funreason_train.synth.chain.plan import CannotPlan, plan_turn
from funreason_train.synth.chain.solve import Chain, Response
from funreason_train.synth.explore.directions import Directions
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.sampler import Sampler

EMPTY: Mapping[str, Any] = {"books": {}, "loans": {}}


class Library(TableWorld):
    """Books that are lent by the number that was given to them."""

    name = "library"
    tables = ("books", "loans")

    @tool
    def add_book(self, isbn: str, title: str) -> dict[str, Any]:
        """Add a book to the shelf."""
        self.state["books"][isbn] = {"title": title}
        return {"isbn": isbn, "copies": 1}

    @tool
    def lend(self, isbn: str, member: str) -> dict[str, Any]:
        """Lend a book to a member."""
        self.record("books", isbn)
        loan = f"L{len(self.state['loans'])}"
        self.state["loans"][loan] = {"isbn": isbn, "member": member}
        return {"loan": loan}

    @tool
    def take_back(self, loan: str) -> dict[str, Any]:
        """Take a loan back."""
        return {"returned": self.record("loans", loan)["isbn"]}


class Hidden(Environment):
    """The library as a server that keeps what it was given in its memory and shows it nowhere."""

    name = "mcp/library"

    def __init__(self) -> None:
        self._inner = Library()

    def reset(self, config: Mapping[str, Any]) -> None:
        self._inner.reset(config)

    @classmethod
    def tools(cls) -> list[dict[str, Any]]:
        return Library.tools()

    def call(self, call: Call) -> Result:
        return self._inner.call(call)

    def snapshot(self) -> Any:
        return {}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return learn(Hidden(), lambda _: EMPTY, "0", 12, 30)


def test_what_a_server_was_given_and_shows_nowhere_is_asked_for_again(graph: Graph) -> None:
    assert all(
        graph.tools[name].ok > 3 * graph.tools[name].failed for name in ("add_book", "lend", "take_back")
    )


def test_what_is_asked_for_can_be_done_where_nothing_was_done_before(graph: Graph) -> None:
    planned = 0
    for seed in range(30):
        world = Hidden()
        world.reset(EMPTY)
        rng = Random(seed)
        sampler = Sampler(world, graph, Directions(graph), Drawer(graph, EMPTY), rng)
        try:
            plan = plan_turn(sampler, "plain", "lend", 0, rng, [], [])
        except CannotPlan:
            continue
        planned += 1
        again = Hidden()
        again.reset(EMPTY)
        assert all(again.call(call).ok for call in plan.gold), plan.gold
    assert planned > 20


@pytest.mark.parametrize("by_state", [False, True])
@pytest.mark.parametrize(("before", "reasons"), [((), ["failed", "failed"]), (("add",), [])])
def test_calls_that_fail_are_not_shown_as_done(
    before: tuple[str, ...], reasons: list[str], by_state: bool
) -> None:
    def made() -> Environment:
        world = Hidden()
        world.reset(EMPTY)
        return world

    tools = Hidden.tools()
    chain = Chain(made, EMPTY, tools, OfflineAgents({}), 2, by_state)
    chain.done += [Call("add_book", {"isbn": "I1", "title": "Sea"}) for _ in before]
    chain._live = chain._fresh()
    gold = [Response("call", (Call("lend", {"isbn": "I1", "member": "Ada"}),)), Response("done")]
    solved = asyncio.run(chain.solve(gold, None, lambda *_: [], {}, Random(0)))
    assert solved.reasons == reasons and solved.passed == (not reasons)
