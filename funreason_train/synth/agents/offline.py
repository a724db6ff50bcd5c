"""Offline agents: templates and rules, no model; the same job always gets the same answer.

The reasoning agent knows the reference and errs at stated rates, less with each hint, so that the guided
chain has something to guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...calls import Call, render_calls
from ..chain.advanced import AdvancedTool, inputs_of
from ..chain.needs import Given
from ..chain.purposes import Purpose, purposes
from ..chain.query import Queries, step_pattern, steps_to_hide
from ..explore.words import spoken
from . import phrases
from .base import Abstracting, Criticising, Querying, Responding

#: What goes wrong -> on which kinds of response.
ERRORS: Mapping[str, tuple[str, ...]] = {
    "wrong_value": ("call", "lookup", "prepare", "parallel", "recover"),
    "drop_call": ("parallel",),
    "malformed": ("call", "lookup", "prepare", "parallel", "recover"),
}


class OfflineAgents:
    """All four agents.

    Args:
        errors: What goes wrong -> the share of first tries; each further try errs at a quarter of it.
    """

    def __init__(self, errors: Mapping[str, float]) -> None:
        self._errors = dict(errors)

    async def abstract(self, job: Abstracting) -> AdvancedTool:
        """Named after what the trace is for; its inputs are what the user has to give."""
        needs, tools = job.needs, job.graph.tools
        goals = list(dict.fromkeys(needs.trace[number].call.name for number in needs.goals))
        name = re.sub(r"\W", "_", f"{'_and_'.join(goals[:3])}_adv")
        described = phrases.listed([phrases.goal(tools[one].document) for one in goals])
        hidden = len(needs.trace) - len(needs.goals)
        more = " and find out on the way whatever that needs" if hidden else ""
        last = tools[goals[-1]].document
        return AdvancedTool(
            name,
            f"{described[:1].upper()}{described[1:]}{more}.",
            inputs_of(needs, job.graph),
            f"what `{spoken(last['name'])}` answers",
        )

    async def query(self, job: Querying) -> Queries:
        """The goals in the documents' own words, then the values."""
        rng, needs = job.rng, job.needs
        goals = self._goals(job)
        hard = [rng.choice(phrases.OPENERS if job.first else phrases.NEXT).format(phrases.listed(goals))]
        details = self._details(job)
        if details:
            hard.append(rng.choice(phrases.TOLD).format("; ".join(details)))
        for sentence in rng.sample(phrases.NOISE, min(job.noise, len(phrases.NOISE))):
            hard.insert(rng.randrange(len(hard) + 1), sentence)
        if job.long:
            hard.insert(0, f"{job.long}\n\nThat was only for you to know.")
        steps = []
        for number, executed in enumerate(needs.trace):
            values = [phrases.told(*one.shown) for one in needs.given if one.step == number]
            values = [
                one
                for one, given in zip(values, self._of(needs.given, number), strict=True)
                if given not in job.left_out
            ]
            wanted = phrases.goal(job.graph.tools[executed.call.name].document)
            steps.append(wanted + (f" ({', '.join(values)})" if values else ""))
        easy = rng.choice(phrases.OPENERS if job.first else phrases.NEXT).format(", then ".join(steps))
        return Queries(self._ended(" ".join(hard)), self._ended(easy))

    async def respond(self, job: Responding) -> str:
        """The reference with a thought, or, at the stated rates, something else."""
        if isinstance(job.reference, str):
            thought = job.rng.choice(phrases.THOUGHTS[job.kind])
            slot = job.reference if job.kind == "ask" else ""
            text = self._text(job)
            return f"{thought.format(slot=spoken(slot), tool='')}</think>\n\n{text}"
        calls = job.reference
        slip = self._slip(job)
        if slip == "drop_call":
            calls = calls[:1]
        elif slip == "wrong_value":
            calls = (_wrong(calls[0]), *calls[1:])
        thought = job.rng.choice(phrases.THOUGHTS[job.kind]).format(tool=calls[0].name, slot="")
        if slip == "malformed":
            return f"{thought}</think>\n\n{render_calls(calls)[:-2]}"
        return f"{thought}</think>\n\n{render_calls(calls)}"

    async def criticise(self, job: Criticising) -> str:
        """What the matcher's reason means, in a sentence."""
        return phrases.HINTS.get(job.reason, phrases.HINTS["values"])

    # -- parts ---------------------------------------------------------------------------------------------

    def _goals(self, job: Querying) -> list[str]:
        names = [job.needs.trace[number].call.name for number in job.needs.goals]
        found = []
        for name in dict.fromkeys(names):
            count = names.count(name)
            goal = self._goal(job, name)
            found.append(f"{goal} ({count} times)" if count > 1 else goal)
        return found

    def _goal(self, job: Querying, name: str) -> str:
        """What a tool does; `the open calendar`, which would give `open_calendar` away, is the calendar."""
        goal = phrases.goal(job.graph.tools[name].document)
        for step in steps_to_hide(job.needs):
            if pattern := step_pattern(step):
                goal = pattern.sub(lambda match: match[1].lstrip(), goal)
        return goal

    def _details(self, job: Querying) -> list[str]:
        told = [(one, phrases.told(*one.shown)) for one in job.needs.given if one not in job.left_out]
        told += [(one, f"the same {spoken(one.parameter)} as before") for one in job.needs.earlier]
        found = []
        for one, words in told:
            uses = [self._purpose(job, use) for use in purposes(job.needs, one)]
            found.append(f"{words} ({phrases.listed(uses)})" if uses else words)
        return list(dict.fromkeys(found))

    def _purpose(self, job: Querying, use: Purpose) -> str:
        """`to set the price of an item`, and which time where it is wanted more than once."""
        role = f"for the {spoken(use.role)}, " if use.role else ""
        time = f", the {phrases.ordinal(use.which)} time" if use.of > 1 else ""
        return f"{role}to {self._goal(job, use.tool)}{time}"

    def _of(self, given: tuple[Given, ...], number: int) -> list[Given]:
        return [one for one in given if one.step == number]

    def _ended(self, text: str) -> str:
        return text.replace("..", ".").replace(".?", "?").replace("?.", "?")

    def _slip(self, job: Responding) -> str:
        """What goes wrong this time; empty for nothing."""
        for name, kinds in ERRORS.items():
            rate = self._errors.get(name, 0.0) / 4 ** (job.attempt - 1)
            if job.kind in kinds and job.rng.random() < rate:
                return name
        return ""

    def _text(self, job: Responding) -> str:
        rng = job.rng
        if job.kind == "ask":
            return rng.choice(phrases.ASK).format(spoken(str(job.reference)))
        if job.kind == "no_tool":
            return rng.choice(phrases.NO_TOOL)
        return phrases.closing(rng, str(job.reference) or "nothing else was asked")


def _wrong(call: Call) -> Call:
    """The call with one value that is not right."""
    arguments: dict[str, Any] = dict(call.arguments)
    for name, value in arguments.items():
        if isinstance(value, str):
            arguments[name] = f"{value} 2"
            break
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            arguments[name] = value + 1
            break
    else:
        return Call(f"{call.name}_now", arguments)
    return Call(call.name, arguments)
