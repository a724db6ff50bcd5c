"""Variants of training conversations that are known to help; all of them off unless asked for.

Everything drawn depends on the seed, the source and the conversation's id, so that it is the same on every
machine and for any number of processes. Executable tasks stay as they are: their tools are those of their
environment.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..dialogue import AssistantStep, Trajectory, Turn
from .checks import content_digest
from .names import rename
from .spool import Kept, encode, read_spool
from .steps import closing_steps, untrained_steps

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

    def __call__(self, work: Sequence[tuple[Kept, Sequence[Kept]]]) -> list[list[Variant]]:
        """Takes conversations, each with those that it may take distractors from; returns their variants."""
        found = []
        for (kept, donors), trajectory in zip(
            work, read_spool(self.spool, [kept for kept, _ in work]), strict=True
        ):
            others = [tool for one in read_spool(self.spool, donors) for tool in one.tools[:1]]
            found.append(
                [
                    _stored(kept, variant, kinds, added)
                    for variant, kinds, added in self.variants(trajectory, others)
                ]
            )
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
        self, trajectory: Trajectory, others: Sequence[Mapping[str, Any]]
    ) -> list[tuple[Trajectory, tuple[str, ...], bool]]:
        """A conversation's variants: the one in its place, if it changes, and the one beside it, if any.

        Args:
            trajectory: The conversation.
            others: Tools of other conversations.
        """
        made = []
        if self._chance("irrelevance", trajectory) and (refused := self._irrelevance(trajectory)) is not None:
            changed, kinds = self._change(refused, others)
            made.append((changed, ("irrelevance", *kinds), True))
        changed, kinds = self._change(trajectory, others)
        if kinds:
            made.insert(0, (changed, kinds, False))
        return [(_named(one, kinds), kinds, added) for one, kinds, added in made]

    def _change(
        self, trajectory: Trajectory, others: Sequence[Mapping[str, Any]]
    ) -> tuple[Trajectory, tuple[str, ...]]:
        kinds = []
        changed = trajectory
        if self.options["distractors"] and (more := _unlike(trajectory.tools, others)):
            kinds.append("distractors")
            changed = replace(changed, tools=(*changed.tools, *more[: self.options["distractors"]]))
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

    def _irrelevance(self, trajectory: Trajectory) -> Trajectory | None:
        """The first question without the tools that answer it; None if it calls none or no tool is left."""
        first = trajectory.turns[0]
        called = {call.name for step in first.steps for call in step.calls}
        left = tuple(tool for tool in trajectory.tools if tool["name"] not in called)
        if (
            not first.steps[0].calls
            or not left
            or any(p.startswith("0.") for p in trajectory.meta.get("untrained", ()))
        ):
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
        tools = {tool["name"]: None for tool in trajectory.tools}
        arguments = {
            name: None for tool in trajectory.tools for name in tool["parameters"].get("properties", {})
        }
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


def problems(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the node `data.augment`, as sentences."""
    found = [
        f"data.augment.{key} is {options[key]}; it is a share, from 0 to 1"
        for key in ("irrelevance", "mask_names")
        if not 0 <= options[key] <= 1
    ]
    number = options["distractors"]
    if not isinstance(number, int) or not 0 <= number <= 100:
        found.append(f"data.augment.distractors is {number}; it is a number of tools, from 0 to 100")
    return found


def _unlike(
    tools: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The other tools, once each, without those whose name is taken."""
    taken = {tool["name"] for tool in tools}
    found: dict[str, Mapping[str, Any]] = {}
    for tool in others:
        if tool["name"] not in taken:
            found.setdefault(tool["name"], tool)
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
