"""What calls may take, as the configuration says, in every process of a stage."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from ...settings.places import shipped

VARIABLE = "FUNREASON_CALL_LIMITS"
"""The environment variable that tells the processes of a stage its limits."""


def call_limits() -> dict[str, Any]:
    """The section `call_limits`; where no stage has set it, as in configs/config.yaml."""
    return {**_shipped(), **json.loads(os.environ.get(VARIABLE) or "{}")}


def set_call_limits(settings: Mapping[str, Any]) -> None:
    """Sets the section for this process and every process that it starts."""
    os.environ[VARIABLE] = json.dumps(dict(settings))


@cache
def _shipped() -> dict[str, Any]:
    import yaml

    settings = yaml.safe_load((shipped("configs") / "config.yaml").read_text(encoding="utf-8"))
    return dict(settings["call_limits"])
