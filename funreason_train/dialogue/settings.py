"""The section `protocol`: how prompts are rendered."""

from __future__ import annotations

from typing import Literal

from ..settings.section import Section


class Protocol(Section):
    """configs/config.yaml explains each key."""

    system: Literal["bfcl", "compact"]
    answer: Literal["bare", "tagged"]
    escape: bool
