"""The sections of the commands that are no stage."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import model_validator

from ..settings.root import STAGE_NAMES
from ..settings.section import (
    Count,
    CountOrZero,
    ModelName,
    OneOf,
    Path,
    Positive,
    Section,
    ShareBelowOne,
    Text,
    wrong,
)


class RehearsalSettings(Section):
    """How `rehearse=true` plays a cluster."""

    hosts: Annotated[int, Ge(2), Le(8)] | None
    network: Literal["auto", "namespaces", "loopback"]
    fail: list[Literal["sft", "rl"]]


class Pipeline(Section):
    """configs/pipeline.yaml explains each key."""

    stages: Annotated[list[Annotated[str, OneOf(STAGE_NAMES)]], MinLen(1)]
    rehearse: bool
    rehearsal: RehearsalSettings

    @model_validator(mode="after")
    def _in_order(self) -> Pipeline:
        # Each stage takes what the one before it made, so another order would train on an earlier run's.
        ordered = [name for name in STAGE_NAMES if name in self.stages]
        if self.stages != ordered:
            raise wrong(
                "stages run once each, in the method's order", f"Write [{','.join(ordered)}]", ["stages"]
            )
        return self


class Doctor(Section):
    """configs/doctor.yaml explains each key."""

    preflight: bool
    reward: Path | None
    rows: Count | None
    tokenizer: ModelName | None


class Report(Section):
    """configs/report.yaml explains each key."""

    do: Literal["write", "serve"]
    rollouts: Count
    megabytes: Annotated[float, Ge(2), Le(2000)]
    host: Text
    port: Annotated[int, Ge(1), Le(65535)]


class Plan(Section):
    """configs/plan.yaml explains each key."""

    format: Literal["table", "json"]
    calibrate: Path | None
    headroom: ShareBelowOne
    rows: Count | None
    prompts: Count | None
    row_tokens: Positive | None
    prompt_tokens: Positive | None
    response_tokens: Positive | None


Format = Literal["table", "json"]


class Runs(Section):
    """configs/runs.yaml explains each key."""

    do: Literal["list", "compare", "clean"]
    folder: Path
    of: Annotated[list[Path], MinLen(1)] | None
    what: Annotated[list[Literal["old", "checkpoints", "logs"]], MinLen(1)]
    yes: bool
    format: Format


class Lineage(Section):
    """configs/lineage.yaml explains each key."""

    score: Path | None
    hashes: bool
    format: Format


class Reverify(Section):
    """configs/reverify.yaml explains each key."""

    of: Annotated[list[Literal["rollouts", "eval"]], MinLen(1)]
    out: Path | None
    examples: CountOrZero
    format: Format


class ServeEnv(Section):
    """configs/serve_env.yaml explains each key."""

    environment: Text | None
    start_from: Path | None
    size: Count
    port: Annotated[int, Ge(1), Le(65535)] | None
    host: Text
    state_tool: bool
