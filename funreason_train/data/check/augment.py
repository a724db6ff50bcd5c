"""Variants of training conversations that are known to help; all of them off unless asked for.

Everything drawn depends on the seed, the source and the conversation's id, so that it is the same on every
machine and for any number of processes. Executable tasks stay as they are: their tools are those of their
environment.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...calls import Call
from ...dialogue import AssistantStep, Trajectory, Turn
from ..read.names import all_tools, declared_arguments, rename
from ..spool import Kept, encode, read_spool
from ..steps import closing_steps, untrained_steps
from .alike import could_answer, words
from .checks import content_digest

_IDENTIFIER = re.compile(r"\w[_.]\w|[a-z][A-Z]|[A-Za-z]\d")  # a name that prose does not use by chance
_SPARE = 3  # conversations that are looked at for each distractor
_THOUGHTS = (
    "None of the offered functions does what is asked here, so I must not call any of them.",
    "I look through the functions: each is for something else. The right answer is to say so.",
    "What the user wants needs a function that is not in the list. I will say that I cannot do it.",
)
_REPLIES = (
    "None of the functions that I have can do this.",
    "I cannot do this with the functions available to me.",
    "The available functions do not cover this request.",
)


@dataclass(frozen=True)
class Variant:
    """What is stored of a conversation that was made or changed here; see `spool.Kept`.

    Attributes:
        kinds: Which augmentations it went through.
        added: Whether it stands beside the original, and not in its place.
    """

    kinds: tuple[str, ...]
    added: bool
    data: bytes
    content: bytes
    kept: Kept


@dataclass(frozen=True)
class Augment:
    """The augmentations of a run; sent to the workers.

    Attributes:
        spool: The spool's file.
        options: The node `data.augment` of the configuration.
        seed: Of all draws.
    """

    spool: Path
    options: Mapping[str, Any]
    seed: int

    def __call__(
        self, work: Sequence[tuple[Kept, Sequence[Kept]]]
    ) -> list[tuple[list[Variant], Counter[str]]]:
        """Takes conversations, each with those that it may take distractors from.

        Returns:
            Of each, its variants, and what the ledger counts besides them: `irrelevance_tools_left_out`,
            tools that might do what the missing one does, and `irrelevance_skipped`, conversations with no
            tool left.
        """
        found = []
        for (kept, donors), trajectory in zip(
            work, read_spool(self.spool, [kept for kept, _ in work]), strict=True
        ):
            others = [tool for one in read_spool(self.spool, donors) for tool in one.tools[:1]]
            counts: Counter[str] = Counter()
            made = self.variants(trajectory, others, counts)
            found.append(([_stored(kept, variant, kinds, added) for variant, kinds, added in made], counts))
        return found

    def donors(self, number: int, group: Sequence[Kept]) -> list[Kept]:
        """Conversations of the same source that one may take distractors from.

        Args:
            number: The conversation's place in `group`.
            group: The training conversations of a source.
        """
        wanted = self.options["distractors"] * _SPARE
        draw = self._draw("donors", group[number].source, group[number].id)
        return [group[draw.randrange(len(group))] for _ in range(wanted)]

    def variants(
        self, trajectory: Trajectory, others: Sequence[Mapping[str, Any]], counts: Counter[str]
    ) -> list[tuple[Trajectory, tuple[str, ...], bool]]:
        """A conversation's variants: the one in its place, if it changes, and the one beside it, if any.

        Args:
            trajectory: The conversation.
            others: Tools of other conversations; those that might do what a called tool does are left out.
            counts: Receives what the ledger counts.
        """
        made = []
        spare = _unlike(trajectory.tools, others, _Wanted.of(trajectory.tools, trajectory.turns))
        if self._chance("irrelevance", trajectory):
            refused = self._irrelevance(trajectory, counts)
            if refused is not None:
                unasked = _Wanted.of(trajectory.tools, trajectory.turns[:1])
                changed, kinds = self._change(refused, [one for one in spare if not unasked.met_by(one)])
                made.append((changed, ("irrelevance", *kinds), True))
        changed, kinds = self._change(trajectory, spare)
        if kinds:
            made.insert(0, (changed, kinds, False))
        return [(_named(one, kinds), kinds, added) for one, kinds, added in made]

    def _change(
        self, trajectory: Trajectory, spare: Sequence[Mapping[str, Any]]
    ) -> tuple[Trajectory, tuple[str, ...]]:
        kinds = []
        changed = trajectory
        if self.options["distractors"] and spare:
            kinds.append("distractors")
            changed = replace(changed, tools=(*changed.tools, *spare[: self.options["distractors"]]))
        if self._chance("mask_names", trajectory):
            kinds.append("mask_names")
            changed = self._masked(changed)
        # Distractors behind the others would give themselves away.
        if (self.options["shuffle_tools"] or "distractors" in kinds) and len(changed.tools) > 1:
            kinds.append("shuffle_tools")
            tools = list(changed.tools)
            self._draw("shuffle", trajectory.source, trajectory.id).shuffle(tools)
            changed = replace(changed, tools=tuple(tools))
        return changed, tuple(kinds)

    def _irrelevance(self, trajectory: Trajectory, counts: Counter[str]) -> Trajectory | None:
        """The first question without the tools that answer it, nor any that might.

        None if it calls none, if the call is not a gold one, or if no tool is left.
        """
        first = trajectory.turns[0]
        if not first.steps[0].calls or any(p.startswith("0.") for p in trajectory.meta.get("untrained", ())):
            return None
        wanted = _Wanted.of(trajectory.tools, [first])
        names = {tool["name"] for tool in wanted.called}
        others = [tool for tool in trajectory.tools if tool["name"] not in names]
        left = tuple(tool for tool in others if not wanted.met_by(tool))
        if len(left) < len(others):
            counts["irrelevance_tools_left_out"] += len(others) - len(left)
        if not left:
            counts["irrelevance_skipped"] += 1
            return None
        draw = self._draw("words", trajectory.source, trajectory.id)
        thought, reply = draw.choice(_THOUGHTS), draw.choice(_REPLIES)
        step = AssistantStep(thought if first.steps[0].thought else "", (), reply)
        meta = {k: v for k, v in trajectory.meta.items() if k not in ("demonstration", "kinds", "untrained")}
        return replace(
            trajectory,
            id=f"{trajectory.id}~irrelevance",
            tools=left,
            turns=(Turn(first.user, (step,)),),
            meta=meta,
        )

    def _masked(self, trajectory: Trajectory) -> Trajectory:
        """Under names that say nothing; `meta["names"]` leads back (see `names.restore`)."""
        draw = self._draw("mask", trajectory.source, trajectory.id)
        every = all_tools(trajectory)
        tools = {tool["name"]: None for tool in every}
        arguments = {name: None for tool in every for name in declared_arguments(tool["parameters"])}
        arguments |= {
            name: None
            for turn in trajectory.turns
            for step in turn.steps
            for call in step.calls
            for name in call.arguments
        }
        numbers = iter(draw.sample(range(0x1000, 0x10000), len(tools) + len(arguments)))
        names = {
            "tools": {f"func_{next(numbers):x}": name for name in tools},
            "arguments": {f"arg_{next(numbers):x}": name for name in arguments},
        }
        masked = rename(trajectory, names, _IDENTIFIER)
        before: Mapping[str, Mapping[str, str]] = trajectory.meta.get("names", {})
        real = {
            kind: {mask: before.get(kind, {}).get(name, name) for mask, name in pairs.items()}
            for kind, pairs in names.items()
        }
        return replace(masked, meta={**masked.meta, "names": real})

    def _chance(self, kind: str, trajectory: Trajectory) -> bool:
        share = float(self.options[kind])
        return share > 0 and self._draw(kind, trajectory.source, trajectory.id).random() < share

    def _draw(self, *parts: object) -> random.Random:
        return random.Random("\0".join(map(str, (self.seed, "augment", *parts))))


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether any augmentation is on."""
    return any(options.values())


@dataclass(frozen=True)
class _Wanted:
    """What some turns ask for, and the tools that they call for it."""

    called: Sequence[Mapping[str, Any]]
    calls: Sequence[Call]
    asked: frozenset[str]

    @classmethod
    def of(cls, tools: Sequence[Mapping[str, Any]], turns: Sequence[Turn]) -> _Wanted:
        calls = [call for turn in turns for step in turn.steps for call in step.calls]
        names = {call.name for call in calls}
        return cls(
            [tool for tool in tools if tool["name"] in names],
            calls,
            words("\n".join(turn.user for turn in turns)),
        )

    def met_by(self, tool: Mapping[str, Any]) -> bool:
        """Whether another tool might do it."""
        return could_answer(tool, self.called, self.calls, self.asked)


def _unlike(
    tools: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], wanted: _Wanted
) -> list[Mapping[str, Any]]:
    """The other tools, once each, without those whose name is taken or which might do what is wanted."""
    taken = {tool["name"] for tool in tools}
    found: dict[str, Mapping[str, Any]] = {}
    for tool in others:
        if tool["name"] not in taken and tool["name"] not in found and not wanted.met_by(tool):
            found[tool["name"]] = tool
    return list(found.values())


def _named(trajectory: Trajectory, kinds: tuple[str, ...]) -> Trajectory:
    return replace(trajectory, meta={**trajectory.meta, "augmented": list(kinds)})


def _stored(kept: Kept, variant: Trajectory, kinds: tuple[str, ...], added: bool) -> Variant:
    calls = tuple(tuple(len(step.calls) for step in turn.steps) for turn in variant.turns)
    return Variant(
        kinds,
        added,
        encode(variant),
        content_digest(variant),
        replace(
            kept,
            id=variant.id,
            steps=sum(map(len, calls)),
            calls=calls,
            closing=closing_steps(variant),
            untrained=untrained_steps(variant),
        ),
    )
