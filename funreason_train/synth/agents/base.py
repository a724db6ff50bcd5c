"""The four agents behind one interface; each method is asked one thing and answers with text or plain data.

Everything an agent answers is checked by code afterwards: an agent that answers nonsense costs its sample.
What only offline agents may look at stands under `reference`; the prompts of models never hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from ...calls import Call
from ...dialogue import Message
from ..chain.advanced import AdvancedTool
from ..chain.needs import Given, Needs
from ..chain.query import Queries
from ..explore.graph import Graph

Step = tuple[Call, ...]


@dataclass(frozen=True)
class Abstracting:
    """The tooling agent: make one advanced tool of a trace.

    Attributes:
        needs: The trace, and what it needs.
        graph: The sub-tools' documents.
    """

    needs: Needs
    graph: Graph


@dataclass(frozen=True)
class Querying:
    """The querying agent: write what a user says.

    Attributes:
        needs: The trace, and what it needs.
        graph: The sub-tools' documents.
        advanced: The tool that the hard query needs.
        kind: The kind of turn (`plan.KINDS`).
        first: Whether it opens the conversation.
        left_out: What the user does not tell yet.
        noise: What stands in the request without belonging to it: sentences, from 0 on.
        long: A long text that the user pastes in; empty for none.
        rng: Of offline agents' choices.
    """

    needs: Needs
    graph: Graph
    advanced: AdvancedTool
    kind: str
    first: bool
    left_out: tuple[Given, ...]
    noise: int
    long: str
    rng: Random


@dataclass(frozen=True)
class Responding:
    """The reasoning agent: the next response of a turn.

    Attributes:
        messages: Makes the conversation so far, system prompt first; called only by who reads it.
        tools: The offered tools' documents.
        advanced: What the turn comes to.
        hint: Of the critique of an earlier try; empty at first.
        attempt: 1 at first.
        reference: The gold of this response, its calls or its text: for offline agents alone.
        kind: Of the response: `call`, `parallel`, `lookup`, `ask`, `no_tool`, `recover`, `done`.
        results: The answers to this turn's calls so far.
        rng: Of offline agents' choices.
    """

    messages: Callable[[], list[Message]]
    tools: Sequence[Mapping[str, Any]]
    advanced: AdvancedTool | None
    hint: str
    attempt: int
    reference: Step | str
    kind: str
    results: Sequence[str]
    rng: Random


@dataclass(frozen=True)
class Criticising:
    """The critiquing agent: say what was wrong, without the right call.

    Attributes:
        reason: In the matcher's words.
        made: The calls of the failed try.
        gold: The right calls, which the answer must not hold.
        tools: The offered tools' documents.
    """

    reason: str
    made: tuple[Call, ...]
    gold: tuple[Call, ...]
    tools: Sequence[Mapping[str, Any]]


class Agents(Protocol):
    """All four. A method may wait for a server; an offline one returns at once."""

    async def abstract(self, job: Abstracting) -> AdvancedTool:
        """One tool that does what the trace does."""
        ...

    async def query(self, job: Querying) -> Queries:
        """What the user says, hard and easy."""
        ...

    async def respond(self, job: Responding) -> str:
        """A completion as a model writes it after `<think>`: `thought</think>\\n\\n[calls]`, or text."""
        ...

    async def criticise(self, job: Criticising) -> str:
        """A hint for another try."""
        ...
