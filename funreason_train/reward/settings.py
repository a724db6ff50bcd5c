"""The section `rl.reward`: the options of `compute_score`, chosen by `reward=NAME`."""

from __future__ import annotations

from typing import Annotated

from pydantic import model_validator

from ..calls.match import STRING_RULES
from ..settings.section import Count, OneOf, Section, Share, wrong
from .options import VARIANTS, check_options


class Reward(Section):
    """configs/reward/binary.yaml explains each key."""

    variant: Annotated[str, OneOf(VARIANTS)]
    ordered: bool
    strings: Annotated[str, OneOf(STRING_RULES)]
    require_thought: bool
    max_chars: Count | None
    soft_chars: Count | None
    soft_weight: Share

    @model_validator(mode="after")
    def _rules(self) -> Reward:
        if found := check_options(self.model_dump()):
            raise wrong("; ".join(found), keys=["soft_weight"])
        return self
