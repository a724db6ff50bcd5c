"""The steps of a conversation as the exports need them: what SFT imitates, and what RL is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..calls import Call
from ..dialogue import Step, Trajectory, prompt_style, render_answer, steps_of


@dataclass(frozen=True)
class Cut:
    """One assistant response.

    Attributes:
        gold: The step as the source holds it for right.
        shown: The step that SFT imitates: gold, or what an imperfect teacher demonstrated in its place.
        closing: Whether it is a text that follows tool results, where any text is right.
    """

    gold: Step
    shown: Step
    closing: bool


def cut(trajectory: Trajectory, protocol: Mapping[str, Any]) -> list[Cut]:
    """Cuts a conversation at each assistant response.

    `meta["demonstration"]` maps `TURN.RESPONSE` to `{"thought", "calls", "text"}`, the teacher's response to
    that prompt; the history always shows the gold one. `meta["kinds"]` maps it to a word for tables.
    Those that are not a target (see `untrained_steps`) are cut all the same.
    `meta["task"]` is the conversation as an executable task (`environments.Task.to_json`).

    Args:
        trajectory: The conversation.
        protocol: The node `protocol` of the configuration.
    """
    tagged = protocol["answer"] == "tagged"
    apart = ("demonstration", "kinds", "task", "untrained")
    shared = {key: value for key, value in trajectory.meta.items() if key not in apart}
    demonstration, kinds = trajectory.meta.get("demonstration", {}), trajectory.meta.get("kinds", {})
    cuts = []
    bare = replace(trajectory, meta=shared)
    for gold in steps_of(bare, style=prompt_style(protocol), tagged=tagged):
        place = gold.id.rpartition("/")[2]
        if place in kinds:
            gold = replace(gold, meta={**shared, "kind": kinds[place]})
        shown = gold
        if place in demonstration:
            response = demonstration[place]
            calls = tuple(map(Call.from_json, response["calls"]))
            answer = render_answer(calls, response["text"], tagged=tagged)
            shown = replace(gold, thought=response["thought"], answer=answer, calls=calls)
        closing = not gold.calls and gold.messages[-1]["role"] == "tool"
        cuts.append(Cut(gold, shown, closing))
    return cuts


def untrained_steps(trajectory: Trajectory) -> frozenset[int]:
    """Numbers of the steps, counted through the conversation, that are history alone.

    `meta["untrained"]` lists them as `TURN.RESPONSE`.
    """
    places = frozenset(trajectory.meta.get("untrained", ()))
    if not places:
        return places
    all_places = (f"{t}.{r}" for t, turn in enumerate(trajectory.turns) for r in range(len(turn.steps)))
    return frozenset(number for number, place in enumerate(all_places) if place in places)


def closing_steps(trajectory: Trajectory) -> frozenset[int]:
    """Numbers of the steps, counted through the conversation, whose `Cut.closing` is true."""
    found, number = set(), 0
    for turn in trajectory.turns:
        for place, response in enumerate(turn.steps):
            if not response.calls and place and turn.steps[place - 1].results:
                found.add(number)
            number += 1
    return frozenset(found)
