"""The sections `pipeline` and `doctor`."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from ..settings.root import STAGE_NAMES
from ..settings.section import Count, ModelName, OneOf, Path, Section


class Pipeline(Section):
    """configs/pipeline.yaml explains the key."""

    stages: Annotated[list[Annotated[str, OneOf(STAGE_NAMES)]], MinLen(1)]


class Doctor(Section):
    """configs/doctor.yaml explains each key."""

    preflight: bool
    reward: Path | None
    rows: Count | None
    tokenizer: ModelName | None
