"""The sections of the configuration, by name, and the keys that belong to none.

Each section's model lives beside its stage; it is named here, and imported when a configuration is checked.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from .section import Count, CountOrZero, Path, Positive, Says, Section, Seed, Text

#: In the order of a run.
STAGE_NAMES = ("synth", "data", "sft", "rl", "export", "eval")

#: Section -> where its model is.
_MODELS = {
    "protocol": "dialogue.settings:Protocol",
    "model": "models.settings:Model",
    "cluster": "cluster.settings:Cluster",
    "synth": "synth.settings:Synth",
    "data": "data.settings:Data",
    "sft": "sft.settings:Sft",
    "rl": "rl.settings.section:Rl",
    "export": "export.settings:Export",
    "eval": "evaluate.settings:Eval",
    "pipeline": "commands.settings:Pipeline",
    "doctor": "commands.settings:Doctor",
    "report": "commands.settings:Report",
    "plan": "commands.settings:Plan",
    "runs": "commands.settings:Runs",
    "lineage": "commands.settings:Lineage",
    "reverify": "commands.settings:Reverify",
    "serve_env": "commands.settings:ServeEnv",
}


def _restart(value: str) -> str:
    if value.partition(":")[0] not in STAGE_NAMES:
        raise PydanticCustomError("restart", "no such stage")
    return value


Restart = Annotated[
    str,
    AfterValidator(_restart),
    Says(f"one of {', '.join(STAGE_NAMES)} (or STAGE:WORD, to do it once more)"),
]


class CallLimits(Section):
    """What calls in BFCL's environments and in one's own may take."""

    seconds: Positive
    wall_seconds: Positive
    memory_mib: Count
    own_seconds: Positive | None
    waiting: CountOrZero


class Supervision(Section):
    """How patient the supervisor of a run is."""

    retries: CountOrZero
    wait_seconds: Positive
    most_wait_seconds: Positive
    hang_seconds: Positive
    start_seconds: Positive


class Root(Section):
    """The keys outside of any section (configs/config.yaml)."""

    run_dir: Path
    seed: Seed
    dry_run: bool
    output: Literal["file", "screen"]
    restart: Restart | None
    supervise: bool
    supervision: Supervision
    notify: Text | None
    environment_modules: list[Text]
    call_limits: CallLimits


@cache
def models() -> dict[str, type[Section]]:
    """Section -> its model; the root's keys under an empty name."""
    found: dict[str, type[Section]] = {"": Root}
    for name, place in _MODELS.items():
        module, _, model = place.partition(":")
        found[name] = getattr(importlib.import_module(f"funreason_train.{module}"), model)
    return found
