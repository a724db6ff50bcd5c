"""What the evaluation's processes are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..dialogue import PromptStyle
from ..environments import Limits
from ..run.fingerprint import digests, for_people
from .bfcl.game import BfclGames
from .heldout import Rules
from .serve.engine import EngineOptions
from .serve.generate import Sampling


@dataclass(frozen=True)
class Model:
    """One attempt of one model at the tasks.

    Attributes:
        name: As in tables and folders.
        path: Its HF folder.
        parts: The folder of its finished episodes; another model, task file or setting means another folder.
        groups: Ids of the tasks still to be played, in order; those of one group belong into one replica.
        max_model_tokens: What its context holds, at most the configured number.
        seed: Of the sampling: that of the attempt.
        served_name: What the endpoint calls it, if there is one.
    """

    name: str
    path: str
    parts: str
    groups: tuple[tuple[str, ...], ...]
    max_model_tokens: int
    seed: int
    served_name: str | None = None

    @property
    def tasks(self) -> list[str]:
        """All tasks still to be played."""
        return [name for group in self.groups for name in group]

    def share(self, number: int, of: int) -> Model:
        """What one of `of` replicas plays."""
        return replace(self, groups=self.groups[number::of])


@dataclass(frozen=True)
class Job:
    """All models of one evaluation.

    Attributes:
        tasks: The task file: executable tasks as JSONL, or rows of an RL parquet; empty for BFCL.
        models: One after another; attempts of one model share its engine.
        sampling: How completions are drawn; context and seed are each model's own.
        responses: Most responses a turn.
        style: Of the system prompt.
        concurrency: Most episodes at a time in one replica.
        engine: How vLLM is set up; `max_model_tokens` is each model's own.
        endpoint: An OpenAI completions server to use instead.
        reward: Options of the reward that scores rows.
        modules: The setting `environment_modules`.
        bfcl: How BFCL's entries are played, if those are the tasks.
    """

    tasks: str
    models: tuple[Model, ...]
    sampling: Sampling
    responses: int
    style: PromptStyle
    concurrency: int
    engine: EngineOptions
    endpoint: str | None = None
    reward: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    bfcl: BfclGames | None = None

    @property
    def rules(self) -> Rules:
        """How tasks are played."""
        return Rules(self.style, Limits(responses=self.responses))

    def to_json(self) -> dict[str, Any]:
        """The job as JSON's types."""
        return asdict(self)

    @classmethod
    def of_json(cls, job: Mapping[str, Any]) -> Job:
        """The inverse of `to_json`."""
        value = dict(job)
        value["models"] = tuple(
            Model(**{**one, "groups": tuple(map(tuple, one["groups"]))}) for one in value["models"]
        )
        value["bfcl"] = BfclGames.of_json(value["bfcl"]) if value["bfcl"] else None
        value["sampling"] = Sampling(**value["sampling"])
        value["engine"] = EngineOptions(**value["engine"])
        value["modules"] = tuple(value["modules"])
        return cls(**value)


def model_fingerprint(folder: Path) -> str:
    """One hash over the names and contents of a model folder's files, wherever it lies; its card is none."""
    told = digests([folder]).items()
    found = {str(Path(name).relative_to(folder)): value for name, value in told if not for_people(name)}
    return _hash(found)


def served_as(endpoint: str, name: str | None) -> str:
    """What answers behind an endpoint, for fingerprints.

    Args:
        endpoint: Its address.
        name: What the user says that it calls the model: under another name another model may answer, such as
            an adapter beside its base. None: it is found by the model's folder.
    """
    return f"endpoint {endpoint}" + (f" {name}" if name else "")


def fingerprint(
    model: str,
    tasks: str,
    sampling: Sampling,
    rules: Rules,
    dtype: str,
    reward: Mapping[str, Any] | None = None,
    modules: Sequence[str] = (),
) -> str:
    """What an episode's outcome depends on. How fast it is played (replicas, batches) is left out.

    Args:
        model: The model's fingerprint.
        tasks: sha256 of the task file.
        sampling: With the model's own context.
        rules: How tasks are played.
        dtype: In which the model is served, or what answers in its place (`served_as`).
        reward: Options of the reward, where it gives the verdicts.
        modules: Digests of the files in which environments of the user's own are.
    """
    decides = {
        "model": model,
        "tasks": tasks,
        "sampling": asdict(sampling),
        "rules": asdict(rules),
        "dtype": dtype,
    }
    more = {"reward": dict(reward)} if reward else {}
    return _hash(decides | more | ({"modules": list(modules)} if modules else {}))


def _hash(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
