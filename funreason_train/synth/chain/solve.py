"""Phase III: the reasoning agent solves a turn, guided by hints, until its calls are those of the trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ...calls import Call
from ...calls.match import Canon
from ...dialogue import AssistantStep, Message, read_completion
from ...environments import Environment, Result
from ..agents.base import Agents, Criticising, Responding
from ..explore.trace import leaves
from ..explore.words import spoken
from .advanced import AdvancedTool
from .hints import fallback, reveals
from .query import says

_ASKED_FOR = ("call", "parallel", "recover")  # kinds of responses whose calls the user asked for
_LONGEST_FACT = 200  # characters of a value that a reply tells


@dataclass(frozen=True)
class Response:
    """One response that the gold asks for.

    Attributes:
        kind: As in `Responding`.
        calls: The calls; empty for text.
        text: What offline agents know of the text.
        failing: Whether its calls are meant to fail (an error to recover from).
    """

    kind: str
    calls: tuple[Call, ...] = ()
    text: str = ""
    failing: bool = False


@dataclass
class Solved:
    """A turn as it was solved.

    Attributes:
        steps: The responses with their results.
        tries: How many were needed; K_max if none passed.
        reasons: Why the earlier ones failed.
        hints: What was said to that.
        refused: Hints that held a gold call and were not passed on.
        passed: Whether a try passed.
    """

    steps: list[AssistantStep] = field(default_factory=list)
    tries: int = 0
    reasons: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    refused: int = 0
    passed: bool = False


@dataclass
class Chain:
    """Solves the turns of one conversation in a live environment of its own.

    Args:
        make: Makes an environment.
        config: The configuration.
        tools: The offered tools' documents.
        agents: Who answers.
        tries: K_max.
        by_state: Compare the state after the turn instead of the calls.
    """

    make: Callable[[], Environment]
    config: Mapping[str, Any]
    tools: Sequence[Mapping[str, Any]]
    agents: Agents
    tries: int
    by_state: bool
    done: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._canon = Canon(self.tools)
        self._live = self._fresh()

    def close(self) -> None:
        """Lets go of the environment."""
        self._live.close()

    @property
    def live(self) -> Environment:
        """The environment after the turns so far."""
        return self._live

    def _fresh(self) -> Environment:
        live = self.make()
        live.reset(self.config)
        for call in self.done:
            live.call(call)
        return live

    async def solve(
        self,
        gold: Sequence[Response],
        advanced: AdvancedTool | None,
        messages: Callable[[Sequence[AssistantStep], str], list[Message]],
        state: Any,
        rng: Random,
    ) -> Solved:
        """Plays one turn until a try passes.

        Args:
            gold: The responses, the text that ends the turn last.
            advanced: Described to the agent.
            messages: The prompt, from the turn's responses so far and the hint.
            state: The snapshot after the gold calls, where states are compared; None where nothing is called.
            rng: Of offline agents.
        """
        found, hint = Solved(), ""
        while found.tries < self.tries:
            found.tries += 1
            steps, made, reason = await self._try(gold, advanced, messages, hint, found.tries, rng)
            wanted = tuple(call for one in gold for call in one.calls)
            meant = sum(len(one.calls) for one in gold if one.failing)
            reason = reason or self._verdict(made, wanted, state, meant)
            if not reason:
                found.steps, found.passed = steps, True
                self.done += [call for call, _ in made]
                return found
            found.reasons.append(reason)
            self._live.close()
            self._live = self._fresh()
            if found.tries == self.tries:
                break
            job = Criticising(reason, tuple(call for call, _ in made), wanted, self.tools)
            hint = (await self.agents.criticise(job)).strip()
            if not hint or reveals(hint, wanted):
                found.refused += bool(hint)
                hint = fallback(wanted)
            found.hints.append(hint)
        return found

    async def _try(
        self,
        gold: Sequence[Response],
        advanced: AdvancedTool | None,
        messages: Callable[[Sequence[AssistantStep], str], list[Message]],
        hint: str,
        attempt: int,
        rng: Random,
    ) -> tuple[list[AssistantStep], list[tuple[Call, Result]], str]:
        """One try: the responses, the calls made, and why it fails before any comparison."""
        steps: list[AssistantStep] = []
        made: list[tuple[Call, Result]] = []
        asked: list[tuple[Call, Result]] = []
        most = len(gold) + 3
        while len(steps) < most:
            now = gold[min(len(steps), len(gold) - 1)]
            results = [result.text for _, result in made]
            job = Responding(
                messages=lambda: messages(steps, hint),
                tools=self.tools,
                advanced=advanced,
                hint=hint,
                attempt=attempt,
                reference=now.calls or (now.text or _facts(asked, made)),
                kind=now.kind,
                results=results,
                rng=rng,
            )
            if now.failing:  # the mistake is ours to show, and the agent's to recover from
                completion = _completion(now)
            else:
                completion = await self.agents.respond(job)
            read = read_completion(completion)
            if read.calls is None:
                return steps, made, "malformed"
            answers = [self._live.call(call) for call in read.calls]
            made += zip(read.calls, answers, strict=True)
            asked += made[len(made) - len(answers) :] if now.kind in _ASKED_FOR else []
            texts = tuple(answer.text for answer in answers)
            text = "" if read.calls else (read.answer or "")
            steps.append(AssistantStep(read.thought or "", tuple(read.calls), text, texts))
            if not read.calls:
                return steps, made, ""
        return steps, made, "too_many_responses"

    def _verdict(
        self, made: Sequence[tuple[Call, Result]], wanted: Sequence[Call], state: Any, meant: int
    ) -> str:
        """Why a try is not right; empty if it is. `meant` calls are shown failing, to be recovered from."""
        if self.by_state and state is not None:
            if self._live.compare(state):
                return "state"
            # On the way there a call may fail; a turn that ends with one that was refused is not done.
            return "failed" if made and not made[-1][1].ok else ""
        match = self._canon.match([call for call, _ in made], list(wanted))
        if match.equal and sum(not result.ok for _, result in made) > meant:
            return "failed"  # the same calls, of which one needs what the trace had and this world has not
        return "" if match.equal else match.reason


def _facts(asked: Sequence[tuple[Call, Result]], made: Sequence[tuple[Call, Result]] = ()) -> str:
    """What a reply tells: the answers to all that was asked for, else the last answer that says something."""
    told = [fact for call, result in asked if (fact := _fact(call, result, asked))]
    if not told:
        told = [fact for call, result in reversed(made) if (fact := _fact(call, result, made))][:1]
    return "; ".join(dict.fromkeys(told)) or "it is as you asked"


def _fact(call: Call, result: Result, among: Sequence[tuple[Call, Result]]) -> str:
    """What one answer says that fits into a sentence; empty if nothing does.

    Where several answers have a field in common it says of which call it is; answers without fields are told
    together.
    """
    if not result.ok:
        return ""
    good = [(other, one) for other, one in among if one.ok]
    alike = [(other, one) for other, one in good if other.name == call.name]
    if isinstance(result.value, Mapping):
        plain = {
            key: f"{_said(key)} is {value}"
            for key, value in result.value.items()
            if isinstance(value, (str, int, float)) and not isinstance(value, bool) and _is_short(value)
        }
        given = [value for _, value in leaves(call.arguments)]
        new = {key: said for key, said in plain.items() if result.value[key] not in given}
        plain = new or plain  # what it was told itself is no news
        fact, keys = " and ".join([*plain.values()][:2]), {*[*plain][:2]}
        alike = [
            (other, one) for other, one in good if isinstance(one.value, Mapping) and keys & one.value.keys()
        ]
    elif isinstance(result.value, list):
        fact = _listed(result.value)
    else:
        return _told([one for _, one in alike])
    whose = [
        f"{_said(key)} {value}"
        for key, value in call.arguments.items()
        if any(other.arguments.get(key) != value for other, _ in alike)
        and isinstance(value, (str, int, float))
        and _is_short(value)
        and not says(fact, value)
    ]
    return f"{fact} for {' and '.join(whose)}" if fact and whose else fact


def _said(key: str) -> str:
    """A field's name in a sentence: `totalPrice` is `total price`, as `total_price` is."""
    return spoken(key) if re.search("[a-z][A-Z]", key) else key.replace("_", " ")


def _listed(values: Sequence[Any]) -> str:
    """A list of short values, or that there are none; empty where it is something else."""
    if not values:
        return "there are none"
    shown = ", ".join(map(str, values))
    scalar = all(isinstance(one, (str, int, float)) for one in values)
    return f"there {'are' if len(values) > 1 else 'is'} {shown}" if scalar and _is_short(shown) else ""


def _told(results: Sequence[Result]) -> str:
    """What a tool's answers without fields say, a line of text each; empty where it is something else."""
    texts = [str(one.text).strip().rstrip(".") for one in results]
    if isinstance(results[-1].value, bool) or "null" in texts or not all(map(_is_short, texts)):
        return ""
    told = ", ".join(f'"{one}"' if " " in one else one for one in texts)
    return f"the answer{'s are' if len(texts) > 1 else ' is'} {told}" if _is_short(told) else ""


def _completion(response: Response) -> str:
    from ...calls import render_calls

    return f"This might do it.</think>\n\n{render_calls(response.calls)}"


def _is_short(value: Any) -> bool:
    """Whether a value fits into a sentence."""
    text = str(value)
    return bool(text.strip()) and len(text) <= _LONGEST_FACT and "\n" not in text
