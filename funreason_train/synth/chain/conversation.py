"""One conversation from its plan: queries, chains, replay; and what may go wrong on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ...calls import Call
from ...dialogue import (
    AssistantStep,
    Message,
    Trajectory,
    Turn,
    announcement,
    merge_tool_messages,
    render_answer,
    system_prompt,
)
from ...environments import Environment, Task, TaskTurn
from ..agents import phrases
from ..agents.base import Abstracting, Agents, Querying
from ..agents.wordings import Wordings
from ..explore.draw.arguments import Drawer
from ..explore.graph import Graph
from .advanced import AdvancedTool, advanced_problems
from .needs import Given
from .plan import Planned
from .query import query_problems
from .solve import Chain, Response, Solved

_GUESSES = 8  # draws of a value that is not the right one


class Rejected(Exception):
    """A sample that is not written.

    Args:
        phase: `trace`, `query`, `chain` or `replay`.
        reason: A slug.
        detail: For the reader of the card.
    """

    def __init__(self, phase: str, reason: str, detail: str = "") -> None:
        self.phase, self.reason, self.detail = phase, reason, detail
        super().__init__(f"{phase}: {reason}")


@dataclass(frozen=True)
class Asks:
    """How a conversation is written.

    Attributes:
        easy: Write the easy query instead of the hard one.
        noise: The share of requests that hold something besides.
        tries: K_max of the chain.
        by_state: Compare states instead of calls.
        long: Sentences of a pasted text in a turn of kind `long`.
        slips: The imperfect teacher: kind of response -> the rate at which its demonstration is wrong.
        varied: Whether the user's words that no agent writes vary widely.
    """

    easy: bool
    noise: float
    tries: int
    by_state: bool
    long: int
    slips: Mapping[str, float] = field(default_factory=dict)
    varied: bool = True


@dataclass
class Written:
    """A conversation that was accepted.

    Attributes:
        trajectory: As rows are made of it.
        task: The same as an executable task.
        figures: For the funnel and the card.
    """

    trajectory: Trajectory
    task: Task
    figures: dict[str, Any]


class Writer:
    """Writes one conversation.

    Args:
        identity: The sample's id.
        make: Makes an environment.
        config: The configuration.
        graph: What is known of the tools.
        tools: The tools' documents, as a model is shown them; those that appear later included.
        agents: Who writes.
        asks: How.
        rng: Of offline agents.
    """

    def __init__(
        self,
        identity: str,
        make: Callable[[], Environment],
        config: Mapping[str, Any],
        graph: Graph,
        tools: Sequence[Mapping[str, Any]],
        agents: Agents,
        asks: Asks,
        rng: Random,
    ) -> None:
        self.identity, self.make, self.config, self.graph = identity, make, config, graph
        self.all_tools, self.agents, self.asks, self.rng = tools, agents, asks, rng
        self.words = Wordings(asks.varied, rng)
        self.tools = tools  # what the system message offers
        self.turns: list[Turn] = []
        self.task_turns: list[TaskTurn] = []
        self.kinds: dict[str, str] = {}
        self.slips: dict[str, Any] = {}
        self.untrained: list[str] = []
        self.notes: list[dict[str, Any]] = []
        self.figures: dict[str, Any] = {"tries": [], "hints_refused": 0, "reasons": Counter()}
        self.chain = Chain(make, config, tools, agents, asks.tries, asks.by_state)

    async def write(self, plans: Sequence[Planned], states: Sequence[Any], category: str) -> Written:
        """Writes every turn, then replays the whole.

        Args:
            plans: The turns.
            states: The snapshot after each, where states are compared (else unused).
            category: For tables.

        Raises:
            Rejected: a query, a chain or the replay failed.
        """
        withheld = {plan.withheld for plan in plans}
        self.tools = [tool for tool in self.all_tools if tool["name"] not in withheld]
        try:
            for plan, state in zip(plans, states, strict=True):
                await self._turn(plan, state)
            final = self._snapshot(self.chain.live)
        finally:
            self.chain.close()
        name = type(self.chain.live).name
        task = Task(
            *(self.identity, category, name, dict(self.config), tuple(tool["name"] for tool in self.tools)),
            turns=tuple(self.task_turns),
        )
        meta: dict[str, Any] = {
            "category": category,
            "environment": name,
            "kinds": self.kinds,
            "demonstration": self.slips,
        }
        meta |= {"task": task.to_json()}
        if self.untrained:
            meta |= {"untrained": self.untrained, "error_tool_response": True}
        trajectory = Trajectory(self.identity, "synth", tuple(self.tools), tuple(self.turns), meta=meta)
        self._replay(final)
        self.figures["notes"] = self.notes
        return Written(trajectory, task, self.figures)

    # -- one turn ------------------------------------------------------------------------------------------

    async def _turn(self, plan: Planned, state: Any) -> None:
        if plan.kind == "no_tool":
            assert plan.foreign is not None
            values = _made_up(plan.foreign, self.rng)
            user = self.words.unserved(phrases.goal(plan.foreign), values, not self.turns)
            await self._play(user, plan, [Response("no_tool", text="none")], None, state)
            return
        if plan.kind == "correction":
            assert plan.corrected is not None
            user = self.words.correction(*plan.corrected)
            await self._play(user, plan, self._gold(plan), None, state)
            return
        advanced = await self.agents.abstract(Abstracting(plan.needs, self.graph))
        if problems := advanced_problems(advanced, plan.needs):
            raise Rejected("query", problems[0])
        left_out = (plan.slot,) if plan.slot else ()
        user = await self._query(plan, advanced, left_out)
        if plan.withheld:
            await self._play(user, plan, [Response("no_tool", text="none")], None, None)
            new = [tool for tool in self.all_tools if tool["name"] == plan.withheld]
            user = announcement(new, self.words.new_tool())
        if plan.slot:
            ask = [Response("ask", text=plan.slot.name)]
            await self._play(user, plan, ask, advanced, None)
            user = self.words.answer(plan.slot.name, plan.slot.value)
        await self._play(user, plan, self._gold(plan), advanced, state)

    async def _query(self, plan: Planned, advanced: AdvancedTool, left_out: tuple[Given, ...]) -> str:
        rng, noise = self.rng, 0
        while noise < 2 and rng.random() < self.asks.noise:
            noise += 1
        long = phrases.long_text(rng, self.asks.long) if plan.kind == "long" else ""
        job = Querying(
            *(plan.needs, self.graph, advanced, plan.kind, not self.turns, left_out, noise, long, rng)
        )
        queries = await self.agents.query(job)
        text = queries.easy if self.asks.easy else queries.hard
        problems = query_problems(text, plan.needs, left_out, hard=not self.asks.easy)
        if problems:
            slug, _, detail = problems[0].partition(": ")
            raise Rejected("query", slug, f"{detail}: {text[:300]}")
        self.notes.append({"hard": queries.hard, "easy": queries.easy, "advanced": advanced.to_json()})
        return text

    def _gold(self, plan: Planned) -> list[Response]:
        """The responses that the turn asks for."""
        found: list[Response] = []
        needs = plan.needs
        kinds = {needs.trace[number].number: "lookup" for number in needs.hidden}
        kinds |= {
            needs.trace[number].number: "prepare" for number in needs.hidden if number in needs.prepares
        }
        for number, step in enumerate(plan.steps):
            for failed in plan.failing.get(number, ()):
                found.append(Response("failing", (failed.call,), failing=True))
            kind = kinds.get(step[0].number, "call")
            kind = "parallel" if len(step) > 1 else "recover" if number in plan.failing else kind
            found.append(Response(kind, tuple(one.call for one in step)))
        return [*found, Response("done")]

    async def _play(
        self,
        user: str,
        plan: Planned,
        gold: list[Response],
        advanced: AdvancedTool | None,
        state: Any,
    ) -> None:
        number = len(self.turns)

        def messages(steps: Sequence[AssistantStep], hint: str) -> list[Message]:
            return self._messages(user, advanced, steps, hint)

        solved = await self.chain.solve(gold, advanced, messages, state, self.rng)
        self._account(solved)
        if not solved.passed:
            raise Rejected("chain", solved.reasons[-1], f"after {solved.tries} tries")
        gold_steps = []
        for place, step in enumerate(solved.steps):
            asked = gold[min(place, len(gold) - 1)]
            key = f"{number}.{place}"
            self.kinds[key] = asked.kind
            if asked.failing:
                self.untrained.append(key)
            elif step.calls:
                gold_steps.append(step.calls)
            self._slip(key, asked, step, plan)
        self.turns.append(Turn(user, tuple(solved.steps)))
        self.task_turns.append(TaskTurn(user, tuple(gold_steps), solved.steps[-1].text))

    def _account(self, solved: Solved) -> None:
        self.figures["tries"].append(solved.tries)
        self.figures["hints_refused"] += solved.refused
        self.figures["reasons"].update(solved.reasons)
        if solved.hints:
            self.notes.append({"hints": solved.hints, "reasons": solved.reasons})

    def _slip(self, key: str, asked: Response, step: AssistantStep, plan: Planned) -> None:
        """What the imperfect teacher shows instead of a right response, at the stated rates."""
        rate = self.asks.slips.get(asked.kind, 0.0)
        if not rate or self.rng.random() >= rate:
            return
        calls: tuple[Call, ...] = ()
        if asked.kind == "parallel":
            calls = step.calls[:1]
        elif asked.kind == "no_tool":
            tool = self.rng.choice(list(self.tools))
            calls = (Call(tool["name"], _invented(tool, self.rng)),)
        elif asked.kind == "ask" and plan.slot is not None:
            calls = self._guessed(plan, plan.slot)
        if calls:
            thought = self.rng.choice(phrases.THOUGHTS["wrong"]).format(tool=calls[0].name)
            self.slips[key] = {"thought": thought, "calls": [one.to_json() for one in calls], "text": ""}

    def _guessed(self, plan: Planned, slot: Given) -> tuple[Call, ...]:
        """The call that needs the value which the user has not told, with one that is made up."""
        call, told = plan.needs.trace[slot.step].call, [one.value for one in plan.needs.given if one != slot]
        drawer = Drawer(self.graph, self.config)
        for _ in range(_GUESSES):
            made_up = drawer.arguments(call.name, self.rng)[0]
            values = {k: one if one in told else made_up.get(k, one) for k, one in call.arguments.items()}
            if values != call.arguments:
                return (Call(call.name, values),)
        return ()

    def _messages(
        self, user: str, advanced: AdvancedTool | None, steps: Sequence[AssistantStep], hint: str
    ) -> list[Message]:
        """The conversation so far as a model sees it."""
        system = system_prompt([dict(tool) for tool in self.tools], "bfcl")
        if advanced is not None:
            system += f"\n\nWhat this turn comes to, as if one tool did it: {advanced.description}"
        found: list[Message] = [{"role": "system", "content": system}]
        asked = f"{user}\n\n(A hint: {hint})" if hint else user
        for turn in (*self.turns, Turn(asked, tuple(steps))):
            found.append({"role": "user", "content": turn.user})
            for step in turn.steps:
                found.append({"role": "assistant", "content": render_answer(step.calls, step.text)})
                found += merge_tool_messages({"role": "tool", "content": one} for one in step.results)
        return found

    # -- the whole -----------------------------------------------------------------------------------------

    def _snapshot(self, environment: Environment) -> Any:
        try:
            return environment.snapshot()
        except ValueError as error:
            raise Rejected("replay", "state_cannot_be_read", str(error)) from None

    def _replay(self, final: Any) -> None:
        """Plays everything again in a fresh environment: the same results, and the same state at the end."""
        environment = self.make()
        try:
            environment.reset(self.config)
            for turn in self.turns:
                for step in turn.steps:
                    for call, result in zip(step.calls, step.results, strict=True):
                        answer = environment.call(call).text
                        if answer != result:
                            raise Rejected("replay", "another_result", f"{call.name}: {answer[:200]}")
            if differences := environment.compare(final):
                raise Rejected("replay", "another_state", differences[0][:200])
        finally:
            environment.close()


def _made_up(document: Mapping[str, Any], rng: Random) -> list[str]:
    """Values for a request that nothing can serve, each with its name."""
    return [phrases.told(name, value) for name, value in _invented(document, rng).items()]


def _invented(document: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    """Arguments that fit a tool's types and come from nowhere."""
    graph = Graph("", [document])
    return Drawer(graph, {}).arguments(document["name"], rng)[0]
