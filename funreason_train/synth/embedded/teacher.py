"""The imperfect teacher: demonstrations as distilled data really are, with a stated rate for each error.

The teacher errs on one response at a time, from the correct history, and its thought justifies what it does.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...calls import Call
from ...dialogue import AssistantStep
from ...errors import UserError
from .phrases import THOUGHTS
from .plans import parameters
from .words import ids
from .world import TABLES, World

ERRORS: Final = {
    "parallel": "drop_second_call",
    "no_tool": "call_unfit_tool",
    "ask": "guess_value",
    "lookup": "skip_lookup",
}
"""Kind of response -> the error that the teacher can make on it."""


@dataclass(frozen=True)
class Response:
    """One right response.

    Attributes:
        kind: A key of `THOUGHTS`.
        step: Thought, calls or text.
        intended: What the user asks for, with every value known so far: the call after the question or the
            lookups (ids may be missing), or the call that no offered tool can make.
        slot: The missing parameter, if the response asks for one.
    """

    kind: str
    step: AssistantStep
    intended: Call
    slot: str = ""


def think(rng: random.Random, kind: str, tool: str = "", slot: str = "") -> str:
    """A thought before a response of this kind."""
    return rng.choice(THOUGHTS[kind]).format(tool=tool, slot=slot)


class Teacher:
    """Writes demonstrations.

    Args:
        rates: Error (a value of `ERRORS`) -> the probability of making it on a response where it can be made.

    Raises:
        UserError: an unknown error, or a rate that is no probability.
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        for error, rate in rates.items():
            if error not in ERRORS.values():
                raise UserError(
                    f"the embedded teacher has no error {error!r}",
                    where="errors",
                    fix=f"It has {', '.join(ERRORS.values())}",
                )
            if not 0 <= rate <= 1:
                raise UserError(f"{error} is {rate}, not a probability", where="errors", fix="Use 0 to 1")
        self.rates = dict(rates)

    def slip(
        self, rng: random.Random, response: Response, world: World, offered: Sequence[str]
    ) -> AssistantStep | None:
        """What the teacher shows instead of the right response; None when it shows that.

        Args:
            rng: The teacher's own, so that its errors do not change what is drawn elsewhere.
            response: The right response.
            world: Gives the values that the teacher invents.
            offered: The tools that the teacher may call.
        """
        error = ERRORS.get(response.kind)
        if error is None or rng.random() >= self.rates.get(error, 0.0):
            return None
        calls = self._calls(rng, error, response, world, offered)
        return AssistantStep(think(rng, "call", calls[0].name), calls)

    def _calls(
        self,
        rng: random.Random,
        error: str,
        response: Response,
        world: World,
        offered: Sequence[str],
    ) -> tuple[Call, ...]:
        if error == "drop_second_call":
            return response.step.calls[:1]
        if error == "skip_lookup":  # takes the name for the id
            (value,) = response.step.calls[0].arguments.values()
            known = {k: value if v is None else v for k, v in response.intended.arguments.items()}
            return (Call(response.intended.name, known),)
        tool = response.intended.name if error == "guess_value" else rng.choice(offered)
        known = {k: v for k, v in response.intended.arguments.items() if k != response.slot}
        arguments: dict[str, Any] = {}
        for name in parameters(world.environment.name, tool):
            if name in known:
                arguments[name] = known[name]
            elif name in TABLES:
                arguments[name] = rng.choice(ids(TABLES[name], world.split))
            else:
                arguments[name] = world.value(tool, name, rng)
        return (Call(tool, arguments),)
