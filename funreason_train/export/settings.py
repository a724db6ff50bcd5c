"""The section `export`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from ..settings.section import Path, Says, Section

Size = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*(\.\d+)?[KMGT]i?B$"), Says("a size such as 5GB")]


class Export(Section):
    """configs/export.yaml explains each key."""

    checkpoint: Path | None
    out: Path | None
    dtype: Literal["float32", "bfloat16", "float16"] | None
    shard_size: Size
    require_change: bool
