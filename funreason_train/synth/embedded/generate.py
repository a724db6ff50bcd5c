"""The embedded generator: multi-turn tasks in our own environments, demonstrated by an imperfect teacher.

Needs no download. Every gold call is executed; a task is kept only if none of its results is an error. The
three splits share no set of offered tools, no set of tools that one task needs, no name and no id (see
`plans` and `words`). Item `i` of a split depends on the seed and on `i` alone.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...calls import Call
from ...dialogue import AssistantStep, Trajectory, Turn
from ...environments import Task, TaskTurn
from ...errors import UserError
from .phrases import ANSWER, ASK, DONE, NEXT_OPENERS, NO_TOOL, OPENERS, PAIRS, TOOLS
from .plans import (
    CATEGORIES,
    Ask,
    Plan,
    needed_split,
    offered_split,
    parameters,
    plans,
    plans_of,
    tool_names,
)
from .teacher import Response, Teacher, think
from .words import SPLITS, Split
from .world import TABLES, Reference, World

_DRAWS = 50  # of an offered set; a task that needs many tools may have none in its split


@dataclass(frozen=True)
class Example:
    """One generated conversation.

    Attributes:
        task: The executable task.
        turns: The gold conversation, with thoughts and results.
        kinds: `TURN.RESPONSE` -> the kind of response.
        slips: `TURN.RESPONSE` -> what the teacher shows instead.
    """

    task: Task
    turns: tuple[Turn, ...]
    kinds: Mapping[str, str]
    slips: Mapping[str, AssistantStep]


def missing() -> str:
    """What is not installed, as a sentence; empty, since it needs nothing."""
    return ""


def read(config: Mapping[str, Any], seed: int) -> Iterator[Trajectory]:
    """The training conversations.

    Args:
        config: `trajectories` (how many), `categories` (category -> weight), `errors` (the teacher's rates,
            see `teacher.ERRORS`).
        seed: Of everything that is drawn.

    Yields:
        Trajectories whose steps are gold. `meta["demonstration"]` maps `TURN.RESPONSE` to the teacher's
        erroneous response `{"thought", "calls", "text"}`: the target of SFT where it stands, never of RL.
        `meta["kinds"]` maps every `TURN.RESPONSE` to its kind; `done` closes a turn after the tools have
        answered, where any text is right. `meta["task"]` is the executable task.

    Raises:
        UserError: an unknown category or error, or a rate that is no probability.
    """
    for example in examples("train", config["trajectories"], seed, config["categories"], config["errors"]):
        task = example.task
        slips = {
            key: {"thought": s.thought, "calls": [c.to_json() for c in s.calls], "text": s.text}
            for key, s in example.slips.items()
        }
        yield Trajectory(
            id=task.id,
            source="embedded",
            tools=tuple(task.tool_docs()),
            turns=example.turns,
            meta={
                "category": task.category,
                "environment": task.environment,
                "kinds": dict(example.kinds),
                "demonstration": slips,
                "task": task.to_json(),
            },
        )


def tasks(split: Split, count: int, seed: int, categories: Mapping[str, float]) -> Iterator[Task]:
    """Executable tasks of one split, for evaluation.

    Raises:
        UserError: an unknown split or category.
    """
    for example in examples(split, count, seed, categories, {}):
        yield example.task


def examples(
    split: Split, count: int, seed: int, categories: Mapping[str, float], errors: Mapping[str, float]
) -> Iterator[Example]:
    """Conversations of one split with their demonstrations; categories are drawn by weight."""
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r}", fix=f"Use one of {', '.join(SPLITS)}")
    if unknown := sorted(set(categories) - set(CATEGORIES)):
        raise UserError(
            f"the embedded generator has no category {unknown[0]!r}",
            where="categories",
            fix=f"It has {', '.join(CATEGORIES)}",
        )
    teacher = Teacher(errors)
    names, weights = list(categories), list(categories.values())
    for index in range(count):
        rng, erring = (random.Random(f"{seed}/{split}/{index}{what}") for what in ("", "/teacher"))
        category = rng.choices(names, weights)[0]
        found = None
        while found is None:
            found = _Conversation(rng, split, category, teacher, erring).example(f"{split}-{index:06d}")
        yield found


@dataclass
class _Conversation:
    """Builds one conversation turn by turn in a live environment."""

    rng: random.Random
    split: Split
    category: str
    teacher: Teacher
    teacher_rng: random.Random
    turns: list[Turn] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    slips: dict[str, AssistantStep] = field(default_factory=dict)
    failed: bool = False

    def example(self, identity: str) -> Example | None:
        """The conversation, or None when the draw will not do (a tool refuses a call)."""
        environment, chosen = self._choose()
        self.world = World(self.rng, self.split, environment)
        self.offered = self._offer(environment, chosen)
        if not self.offered:
            return None
        for plan in chosen:
            getattr(self, f"_{plan.kind}")(plan)
        if self.failed:
            return None
        turns = tuple(
            TaskTurn(t.user, tuple(s.calls for s in t.steps if s.calls), t.steps[-1].text) for t in self.turns
        )
        task = Task(identity, self.category, environment, self.world.config, self.offered, turns)
        return Example(task, tuple(self.turns), self.kinds, self.slips)

    # -- what the task needs -------------------------------------------------------------------------------

    def _choose(self) -> tuple[str, list[Plan]]:
        """An environment, and plans of this category whose tools this split may combine."""
        if self.category != "mixed":
            environment, plan = self.rng.choice(plans_of(self.split, self.category))
            return environment, [plan]
        while True:
            first, second = self.rng.sample([k for k in CATEGORIES if k not in ("mixed", "follow_up")], 2)
            environment, plan = self.rng.choice(plans_of(self.split, first))
            chosen = [plan, self.rng.choice(plans(environment, second))]
            needed, absent = _union(p.needed for p in chosen), _union(p.absent for p in chosen)
            if needed_split(needed) in (None, self.split) and not needed & absent:
                return environment, chosen

    def _offer(self, environment: str, chosen: list[Plan]) -> tuple[str, ...]:
        """Four or five tools with all that is needed, in random order; none when no such set was drawn."""
        needed, absent = _union(p.needed for p in chosen), _union(p.absent for p in chosen)
        others = [name for name in tool_names(environment) if name not in needed | absent]
        for _ in range(_DRAWS):
            size = max(self.rng.choice((4, 5)), len(needed))
            offered = [*sorted(needed), *self.rng.sample(others, size - len(needed))]
            self.rng.shuffle(offered)
            if offered_split(offered) == self.split:
                return tuple(offered)
        return ()

    # -- one method a kind of plan -------------------------------------------------------------------------

    def _single(self, plan: Plan) -> None:
        text, calls = self._request(plan.asks[0])
        self._turn(self._open(text), [self._calling("call", calls[-1:])])

    def _chain(self, plan: Plan) -> None:
        text, calls = self._request(plan.asks[0])
        kinds = ["lookup", *["use"] * (len(calls) - 1)]
        self._turn(
            self._open(text), [self._calling(k, [c], calls[-1]) for k, c in zip(kinds, calls, strict=True)]
        )

    def _parallel(self, plan: Plan) -> None:
        texts: list[str] = []
        calls: list[Call] = []
        for ask in plan.asks:
            text, made = self._request(ask, taken=[v for call in calls for v in call.arguments.values()])
            texts.append(text)
            calls += made
        self._turn(self._open(self.rng.choice(PAIRS).format(*texts)), [self._calling("parallel", calls)])

    def _missing(self, plan: Plan) -> None:
        tool, slot = plan.asks[0].tool, plan.slot
        values, words = self._values(tool, self._subject(plan.asks[0]))
        call = Call(tool, values)
        text = self.rng.choice(TOOLS[tool].without[slot]).format(**words)
        question = self.rng.choice(ASK).format(slot)
        asking = AssistantStep(think(self.rng, "ask", slot=slot), text=question)
        self._turn(self._open(text), [Response("ask", asking, call, slot)])
        self._turn(self.rng.choice(ANSWER).format(values[slot]), [self._calling("call", [call])])

    def _no_tool(self, plan: Plan) -> None:
        text, calls = self._request(plan.asks[0])
        step = AssistantStep(think(self.rng, "no_tool"), text=self.rng.choice(NO_TOOL))
        self._turn(self._open(text), [Response("no_tool", step, calls[-1])])

    def _follow_up(self, plan: Plan) -> None:
        first, second = plan.asks
        text, calls = self._request(first)
        self._turn(self._open(text), [self._calling("call", calls)])
        answer = json.loads(self.turns[-1].steps[0].results[0])
        key = answer.get(plan.slot) or calls[-1].arguments.get(plan.slot)
        values, words = self._values(second.tool, Reference(f"that {plan.slot}", str(key)))
        text = self.rng.choice(TOOLS[second.tool].full).format(**words)
        self._turn(self._open(text), [self._calling("call", [Call(second.tool, values)])])

    # -- words and calls -----------------------------------------------------------------------------------

    def _subject(self, ask: Ask, taken: list[Any] | None = None) -> Reference | None:
        """What the request is about, if its tool takes an id; not one of the ids taken already."""
        parameter = parameters(self.world.environment.name, ask.tool)[0]
        if parameter not in TABLES:
            return None
        while True:
            reference = self.world.point_at(parameter, ask.lookups)
            if reference.key not in (taken or ()):
                return reference

    def _values(self, tool: str, subject: Reference | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """A value for every parameter, and the words that stand for it in a phrase."""
        values: dict[str, Any] = {}
        words: dict[str, Any] = {}
        for name in parameters(self.world.environment.name, tool):
            if name in TABLES and subject is not None:
                values[name], words[name] = subject.key, subject.text
            else:
                values[name] = words[name] = self.world.value(tool, name)
        return values, words

    def _request(self, ask: Ask, taken: list[Any] | None = None) -> tuple[str, list[Call]]:
        """The user's words for one request, and the calls that serve it, lookups first."""
        subject = self._subject(ask, taken)
        values, words = self._values(ask.tool, subject)
        text = self.rng.choice(TOOLS[ask.tool].full).format(**words)
        return text, [*(subject.lookups if subject else ()), Call(ask.tool, values)]

    def _open(self, text: str) -> str:
        return self.rng.choice(NEXT_OPENERS if self.turns else OPENERS).format(text)

    def _calling(self, kind: str, calls: list[Call], last: Call | None = None) -> Response:
        thought = think(self.rng, kind, calls[0].name)
        intended = last or calls[-1]
        if kind == "lookup":  # the id is what the lookups are for
            subject = parameters(self.world.environment.name, intended.name)[0]
            intended = Call(intended.name, {**intended.arguments, subject: None})
        return Response(kind, AssistantStep(thought, tuple(calls)), intended)

    def _turn(self, user: str, responses: list[Response]) -> None:
        """Executes the responses, lets the teacher err on each, and closes the turn when there were calls."""
        steps = []
        number = len(self.turns)
        for position, response in enumerate(responses):
            gold = response.step
            results = tuple(map(self.world.environment.call, gold.calls))
            self.failed = self.failed or not all(result.ok for result in results)
            texts = tuple(result.text for result in results)
            steps.append(AssistantStep(gold.thought, gold.calls, gold.text, texts))
            key = f"{number}.{position}"
            self.kinds[key] = response.kind
            slip = self.teacher.slip(self.teacher_rng, response, self.world, self.offered)
            if slip is not None:
                self.slips[key] = slip
        if steps[-1].results:
            answers = [json.loads(result) for result in steps[-1].results]
            facts = [f"{k} is {v}" for answer in answers for k, v in itertools.islice(answer.items(), 1)]
            text = self.rng.choice(DONE).format(" and ".join(facts))
            self.kinds[f"{number}.{len(steps)}"] = "done"
            steps.append(AssistantStep(think(self.rng, "done"), text=text))
        self.turns.append(Turn(user, tuple(steps)))


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
