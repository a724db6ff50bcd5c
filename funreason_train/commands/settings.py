"""The sections `pipeline`, `doctor`, `report` and `serve_env`."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from ..settings.root import STAGE_NAMES
from ..settings.section import Count, ModelName, OneOf, Path, Positive, Section, ShareBelowOne, Text


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


class ServeEnv(Section):
    """configs/serve_env.yaml explains each key."""

    environment: Text | None
    start_from: Path | None
    size: Count
    port: Annotated[int, Ge(1), Le(65535)] | None
    host: Text
    state_tool: bool
