"""The section `synth` of the configuration, and what its environments lack before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import model_validator

from ..errors import Problem, UserError
from ..settings.section import (
    Count,
    CountOrZero,
    ModelName,
    NotNegative,
    OneOf,
    Open,
    Path,
    Positive,
    Section,
    Share,
    ShareAboveZero,
    Text,
    wrong,
)
from .kinds import impossible, kind_shares
from .names import AGENTS, MAKERS, PHASES

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


class ServerLearning(Section):
    """The same for MCP servers."""

    episodes: Count
    measure: CountOrZero


class GraphLearning(Section):
    """Phase I: how the graphs are learnt."""

    episodes: Count
    calls: Count
    measure: CountOrZero
    round: Count | None
    servers: ServerLearning


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
    varied: bool
    long_sentences: CountOrZero


class ChainTries(Section):
    """Phase III."""

    tries: Count
    validate_by: Annotated[str, OneOf(("calls", "state"))]


class Kinds(Section):
    """Kind of turn -> how often, or None where it is not given; `chain.plan.KINDS` says what each is."""

    plain: NotNegative | None
    parallel: NotNegative | None
    missing_parameter: NotNegative | None
    missing_tool: NotNegative | None
    no_tool: NotNegative | None
    error: NotNegative | None
    correction: NotNegative | None
    long: NotNegative | None


class UsualKinds(Section):
    """Kind of turn -> how often, where the user says nothing."""

    plain: NotNegative
    parallel: NotNegative
    missing_parameter: NotNegative
    missing_tool: NotNegative
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
    ask: Share


class Offline(Section):
    """What only offline agents have."""

    errors: OfflineErrors
    slips: Slips


class Roles(Section):
    """Role -> a model of its own."""

    tooling: ModelName | None
    querying: ModelName | None
    reasoning: ModelName | None
    critiquing: ModelName | None


class AskSampling(Section):
    """How models are sampled."""

    temperature: NotNegative | None
    top_p: ShareAboveZero | None
    max_tokens: Count


class Prices(Section):
    """Of a million tokens."""

    prompt: NotNegative
    completion: NotNegative


class AskLimits(Section):
    """What asking may take."""

    concurrency: Count
    seconds: Positive
    tries: Count
    requests_per_minute: Positive | None
    tokens_per_minute: Positive | None
    prices: Prices
    budget: NotNegative | None
    most_tokens: Count | None


class Arguments(Open):
    """Arguments of `vllm serve`."""


class Vllm(Section):
    """The server that agents=vllm starts."""

    start_seconds: Positive
    arguments: Arguments


class CassetteFiles(Section):
    """What MCP servers answered."""

    record: Path | None
    replay: Path | None


class Synth(Section):
    """configs/synth.yaml explains each key."""

    maker: Annotated[str, OneOf(tuple(MAKERS))]
    trajectories: Count
    heldout_tasks: CountOrZero
    tuning_tasks: CountOrZero
    out: Path | None
    environments: list[Text]
    servers: Path | None
    cassette: CassetteFiles
    modules: list[Text]
    agents: Annotated[str, OneOf(tuple(AGENTS))]
    endpoint: Text | None
    model: ModelName | None
    roles: Roles
    key_variable: Text | None
    sampling: AskSampling
    limits: AskLimits
    vllm: Vllm
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
    usual_kinds: UsualKinds
    offline: Offline
    embedded: Embedded
    bfcl_world: BfclWorld

    @model_validator(mode="after")
    def _rules(self) -> Synth:
        _two("offered_tools", self.offered_tools)
        if not self.environments:
            raise wrong("name at least one", "For example environments=[shop,travel]", keys=["environments"])
        twice = [name for name in self.environments if self.environments.count(name) > 1]
        if twice:
            raise wrong(f"{twice[0]} is named twice", "Name each once", keys=["environments"])
        if not any(kind_shares(self.model_dump()).values()):
            raise wrong("one of them must be above 0", keys=["kinds"])
        if self.cassette.record and self.cassette.replay:
            raise wrong(
                "is for a run that replays nothing", "Leave one of them out", keys=["cassette.record"]
            )
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
    from .makers import maker

    lacking = maker(str(synth.maker)).missing()
    return [Problem(lacking, f"synth.maker={synth.maker}")] if lacking else []


def _phases(synth: Any) -> Iterator[Problem]:
    yield from impossible(synth)
    if synth.targets != COVERAGE:
        from .explore.targets import Targets

        try:
            Targets.read(str(synth.targets))
        except UserError as error:
            yield Problem(error.what, f"synth.targets={error.where}", error.fix)
    yield from _asking(synth)
    try:
        load_all(synth.modules, synth.servers, synth.cassette)
    except UserError as error:
        yield Problem.of(error)
        return
    from ..environments.registry import configured_environment

    for name in synth.environments:
        try:
            configured_environment(str(name))
        except UserError as error:
            yield Problem.of(error)


def _asking(synth: Any) -> Iterator[Problem]:
    """What agents that are models lack."""
    if synth.agents == "offline":
        return
    lacking = [role for role, own in synth.roles.items() if not (own or synth.model)]
    if lacking:
        fix = "For example model=NAME, which plays all roles."
        yield Problem(f"no model plays {', '.join(lacking)}", f"synth.agents={synth.agents}", fix)
    if synth.agents == "vllm":
        if own := [role for role, own in synth.roles.items() if own]:
            yield Problem(
                "agents=vllm serves one model for all roles", f"synth.roles.{own[0]}", "Set it to null."
            )
        return
    if synth.endpoint is None:
        fix = "For example endpoint=http://localhost:8000/v1."
        yield Problem("the address of the server is missing", "synth.endpoint=null", fix)
        return
    parts = urlsplit(str(synth.endpoint))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield Problem(
            "is not an address", f"synth.endpoint={synth.endpoint}", "For example http://localhost:8000/v1."
        )
    elif parts.username or parts.password or parts.query:
        fix = "Put the key into an environment variable and name it in synth.key_variable."
        yield Problem("the address holds a login, which would be written into files", "synth.endpoint", fix)
    elif parts.path.rstrip("/").endswith("/completions"):
        base = synth.endpoint.rstrip("/").removesuffix("/completions").removesuffix("/chat")
        yield Problem(
            "is the address of one request", f"synth.endpoint={synth.endpoint}", f"Write endpoint={base}."
        )


def load_all(modules: Any, servers: str | None, cassette: Any = None) -> None:
    """Makes the environments of modules and MCP servers known.

    Args:
        modules: Modules that register environments.
        servers: A file in the form of `mcpServers`, whose servers become `mcp/NAME`; None for none.
        cassette: Folders that servers' answers are recorded in, or played back from.

    Raises:
        UserError: a module cannot be imported, or the file cannot be read.
    """
    from ..environments.registry import load_environments

    load_environments([str(module) for module in modules or ()])
    if servers:
        from ..environments.mcp import load_servers

        folders = {name: File(str(one)).expanduser() for name, one in (cassette or {}).items() if one}
        load_servers(File(str(servers)).expanduser(), folders.get("record"), folders.get("replay"))
