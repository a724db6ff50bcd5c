"""The section `synth` of the configuration, and what its environments lack before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File
from typing import Annotated, Any

from pydantic import model_validator

from ..errors import Problem, UserError
from ..settings.section import Count, CountOrZero, NotNegative, OneOf, Path, Section, Share, Text, wrong
from .agents.make import KINDS as AGENTS
from .makers import MAKERS, PHASES, maker

COVERAGE = "coverage"


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


class GraphLearning(Section):
    """Phase I: how the graphs are learnt."""

    episodes: Count
    calls: Count
    measure: CountOrZero


class Sampling(Section):
    """Phase I: how traces are sampled."""

    policy: Annotated[str, OneOf(("directed", "uniform"))]
    extra_calls: list[CountOrZero]
    most_calls: Count

    @model_validator(mode="after")
    def _rules(self) -> Sampling:
        _two("extra_calls", self.extra_calls)
        return self


class Query(Section):
    """Phase II."""

    style: Annotated[str, OneOf(("hard", "easy"))]
    noise: Share
    long_sentences: CountOrZero


class ChainTries(Section):
    """Phase III."""

    tries: Count
    validate_by: Annotated[str, OneOf(("calls", "state"))]


class Kinds(Section):
    """Kind of turn -> how often; `chain.plan.KINDS` says what each is."""

    plain: NotNegative
    parallel: NotNegative
    missing_parameter: NotNegative
    no_tool: NotNegative
    error: NotNegative
    correction: NotNegative
    long: NotNegative


class OfflineErrors(Section):
    """How often the offline reasoning agent errs in its first try."""

    wrong_value: Share
    drop_call: Share
    malformed: Share


class Slips(Section):
    """How often an imperfect teacher's demonstration is wrong."""

    parallel: Share
    no_tool: Share


class Offline(Section):
    """What only offline agents have."""

    errors: OfflineErrors
    slips: Slips


class Synth(Section):
    """configs/synth.yaml explains each key."""

    maker: Annotated[str, OneOf(tuple(MAKERS))]
    trajectories: Count
    heldout_tasks: CountOrZero
    tuning_tasks: CountOrZero
    out: Path | None
    environments: list[Text]
    servers: Path | None
    modules: list[Text]
    agents: Annotated[str, OneOf(tuple(AGENTS))]
    turns: Count
    size: Count
    targets: Path
    draws: Count
    offered_tools: list[Count]
    known_ids: Share
    processes: Count | None
    graph: GraphLearning
    sampler: Sampling
    query: Query
    chain: ChainTries
    kinds: Kinds
    offline: Offline
    embedded: Embedded
    bfcl_world: BfclWorld

    @model_validator(mode="after")
    def _rules(self) -> Synth:
        _two("offered_tools", self.offered_tools)
        if not self.environments:
            raise wrong("name one at least", "For example environments=[shop,travel]", keys=["environments"])
        twice = [name for name in self.environments if self.environments.count(name) > 1]
        if twice:
            raise wrong(f"{twice[0]} stands there twice", "Name each once", keys=["environments"])
        if not any(self.kinds.model_dump().values()):
            raise wrong("one of them must be above 0", keys=["kinds"])
        return self


def _two(key: str, value: list[int]) -> None:
    if len(value) != 2 or value[0] > value[1]:
        raise wrong("must be two numbers, from and to", f"For example {key}=[1,3]", keys=[key])


def problems(synth: Any) -> list[Problem]:
    """What the chosen maker lacks.

    Args:
        synth: The section, checked by its model.
    """
    if synth.maker == PHASES:
        return list(_phases(synth))
    lacking = maker(str(synth.maker)).missing()
    return [Problem(lacking, f"synth.maker={synth.maker}")] if lacking else []


def _phases(synth: Any) -> Iterator[Problem]:
    targets = str(synth.targets)
    if targets != COVERAGE and not File(targets).expanduser().is_file():
        yield Problem("there is no such file", f"synth.targets={targets}", "Give a file, or coverage.")
    try:
        load_all(synth.modules, synth.servers)
    except UserError as error:
        yield Problem.of(error)
        return
    from ..environments.registry import configured_environment

    for name in synth.environments:
        try:
            configured_environment(str(name))
        except UserError as error:
            yield Problem.of(error)


def load_all(modules: Any, servers: str | None) -> None:
    """Makes the environments of modules and MCP servers known.

    Args:
        modules: Modules that register environments.
        servers: A file in the form of `mcpServers`, whose servers become `mcp/NAME`; None for none.

    Raises:
        UserError: a module cannot be imported, or the file cannot be read.
    """
    from ..environments.registry import load_environments

    load_environments([str(module) for module in modules or ()])
    if servers:
        from ..environments.mcp import load_servers

        load_servers(File(str(servers)).expanduser())
