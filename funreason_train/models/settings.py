"""The section `model`: which model a run starts from."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le
from pydantic import model_validator

from ..settings.section import ModelName, Positive, Section, wrong
from .tiny.induction import has_room

Size = Annotated[int, Ge(1), Le(2**24)]


class Model(Section):
    """A folder or hub id; where that is null, a tiny model of these sizes (configs/model/tiny.yaml)."""

    path: ModelName | None
    vocab_size: Size
    digits: Annotated[int, Ge(1), Le(8)]
    hidden_size: Size
    intermediate_size: Size
    layers: Size
    heads: Size
    head_dim: Size
    max_positions: Size
    rope_theta: Positive
    initializer_range: Positive
    induction: bool
    tie_embeddings: bool

    @model_validator(mode="after")
    def _rules(self) -> Model:
        if self.head_dim % 2:  # positions rotate pairs of a head's dimensions
            raise wrong("must be even", keys=["head_dim"])
        if (
            self.path is None
            and self.induction
            and not has_room(self.layers, self.hidden_size, self.head_dim)
        ):
            raise wrong(
                "needs two layers, a head_dim of at least 6, and a hidden_size above head_dim",
                keys=["induction"],
            )
        return self
