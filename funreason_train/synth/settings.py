"""The section `synth`, and what is wrong with it before anything is made."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import model_validator

from ..errors import Problem
from ..settings.section import Count, CountOrZero, NotNegative, OneOf, Path, Section, Share, wrong
from .makers import MAKERS, maker


class BfclCategories(Section):
    """Category -> how often."""

    single: NotNegative
    chain: NotNegative
    parallel: NotNegative
    follow_up: NotNegative
    missing: NotNegative


class EmbeddedCategories(BfclCategories):
    """Category -> how often."""

    no_tool: NotNegative
    mixed: NotNegative


class Errors(Section):
    """How often the teacher errs."""

    drop_second_call: Share
    call_unfit_tool: Share
    guess_value: Share
    skip_lookup: Share


class BfclWorld(Section):
    """The maker of tasks in BFCL's environments."""

    categories: BfclCategories

    @model_validator(mode="after")
    def _rules(self) -> BfclWorld:
        if not any(self.categories.model_dump().values()):
            raise wrong("one of them must be above 0", keys=["categories"])
        return self


class Embedded(BfclWorld):
    """The maker of tasks in this project's environments."""

    categories: EmbeddedCategories
    errors: Errors


class Synth(Section):
    """configs/synth.yaml explains each key."""

    maker: Annotated[str, OneOf(tuple(MAKERS))]
    trajectories: Count
    heldout_tasks: CountOrZero
    tuning_tasks: CountOrZero
    out: Path | None
    embedded: Embedded
    bfcl_world: BfclWorld


def problems(synth: Any) -> list[Problem]:
    """What the chosen maker lacks.

    Args:
        synth: The section, checked by its model.
    """
    lacking = maker(str(synth.maker)).missing()
    return [Problem(lacking, f"synth.maker={synth.maker}")] if lacking else []
