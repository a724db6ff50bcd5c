"""Answering BFCL's entries with one or several models, and checking the answers.

For each model `OUT/CATEGORY.jsonl` holds one line an entry, in BFCL's order:

    {"id", "category", "right": bool, "reasons": [str], "prompt": the last prompt's text,
     "completions": [str], "gold": BFCL's ground truth or null, "question": BFCL's messages by turn,
     "tokens": generated tokens, "cut_off": completions that ran into their limit,
     "unclosed": completions without </think>}

and `OUT/info.json` `{"bfcl_version", "categories": [run], "not_run": {category: reason}, "entries":
{category: count}, …}`; it is written last, so a folder without it is unfinished. While it plays, finished
entries lie in `OUT/parts/FINGERPRINT/`; another model, version or setting means another folder there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...dialogue import PromptStyle
from ...environments.sandbox.limits import CallLimits
from ...errors import UserError
from ...run.files import read_json, write_json, write_text
from ...run.progress import report
from .. import results
from ..job import Job, Model, served_as
from ..play import dump
from ..serve.engine import EngineOptions
from ..serve.generate import Sampling
from ..serve.replicas import play_job
from .bridge import Unclosed
from .categories import is_prerequisite
from .client import HostClient
from .entries import EntryOptions
from .game import BfclGames
from .versions import python_of


@dataclass(frozen=True)
class BfclModel:
    """One model to evaluate.

    Attributes:
        name: As in tables and folders.
        path: Its HF folder, whose tokenizer and chat template render the prompts.
        out: Where its results go: `RUN_DIR/eval/NAME/bfcl`.
        fingerprint: See `evaluate.job.model_fingerprint`.
        max_model_tokens: What its context holds, at most the configured number.
    """

    name: str
    path: str
    out: Path
    fingerprint: str
    max_model_tokens: int


@dataclass(frozen=True)
class BfclOptions:
    """What is evaluated and how.

    Attributes:
        version: Of bfcl-eval, one of `versions.VERSIONS`.
        categories: Names from `categories.CATEGORIES`.
        sampling: How completions are drawn.
        engine: How vLLM is set up; unused with an endpoint.
        limits: What one call, or checking one entry, may take, and the calls of one entry may add.
        style: Of the system prompt.
        limit: Only this many entries of each category, spread evenly; None: all.
        concurrency: Most entries at a time in one replica.
        endpoint: An OpenAI completions server to use instead of vLLM in this machine's processes.
        served_name: What the endpoint calls the model.
        named: The same, if the user said so.
        replicas: The environment variables of each replica process.
        patience: Give up when nothing was finished for so many seconds.
        unclosed: How a single-turn answer without `</think>` counts: `failed`, or as the model `card` has it.
    """

    version: str
    categories: tuple[str, ...]
    sampling: Sampling
    engine: EngineOptions
    limits: CallLimits
    style: PromptStyle = "bfcl"
    limit: int | None = None
    concurrency: int = 64
    endpoint: str | None = None
    served_name: str | None = None
    named: str | None = None
    replicas: Sequence[Mapping[str, str]] = field(default_factory=lambda: ({},))
    patience: float = 1800.0
    unclosed: Unclosed = "failed"


def run_bfcl(models: Sequence[BfclModel], options: BfclOptions, logs: Path) -> dict[str, dict[str, Any]]:
    """Answers and checks everything that is left to do; finished entries are kept.

    Progress is reported through `funreason_train.run.progress`.

    Args:
        models: One after another.
        options: What is evaluated and how.
        logs: Folder of the replicas' logs.

    Returns:
        Model name to its `info.json`.

    Raises:
        UserError: the version cannot be installed, or nothing that was asked for can run here.
        ReplicaFailed: a replica crashed or stopped moving.
    """
    report(0, None, f"bfcl-eval {options.version}")
    python = python_of(options.version)
    entries = EntryOptions(options.categories, "", options.style, options.unclosed)
    with HostClient(python, entries, options.limits) as client:
        hello = client.hello
    if not hello["entries"]:
        reasons = "; ".join(f"{name} {reason}" for name, reason in hello["not_run"].items())
        raise UserError(f"none of the categories can run here: {reasons}", where="categories")
    chosen = {name: _chosen(ids, options.limit) for name, ids in hello["entries"].items()}
    needs = {name: tuple(hello["needs"].get(name, ())) for ids in chosen.values() for name in ids}
    shares = tuple(_share(model, options, chosen, needs) for model in models)
    games = BfclGames(
        python,
        replace(entries, categories=tuple(chosen)),
        options.limits,
        {name: list(wanted) for name, wanted in hello["needs"].items()},
    )
    job = Job(
        tasks="",
        models=shares,
        sampling=options.sampling,
        responses=0,  # which bfcl-eval's own flow limits
        style=options.style,
        concurrency=options.concurrency,
        engine=options.engine,
        endpoint=options.endpoint,
        bfcl=games,
    )
    play_job(job, options.replicas, logs / "bfcl", options.patience, f"BFCL {options.version}")
    return {
        model.name: _collect(model, Path(share.parts), options, chosen, hello)
        for model, share in zip(models, shares, strict=True)
    }


def is_finished(model: BfclModel, options: BfclOptions) -> bool:
    """Whether the model's folder holds the whole result of just these options."""
    try:
        info = read_json(model.out / "info.json")
        return bool(
            info["fingerprint"] == _fingerprint(model, options)[:16]
            and info["limit"] == options.limit
            and {*info["categories"], *info["not_run"]} == set(options.categories)
            and all((model.out / f"{category}.jsonl").is_file() for category in info["categories"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _chosen(ids: Sequence[str], limit: int | None) -> list[str]:
    """`limit` of a category's entries spread evenly over it; prerequisites do not count."""
    asked = [name for name in ids if not is_prerequisite(name)]
    if limit is None or limit >= len(asked):
        return asked
    return [asked[number * len(asked) // limit] for number in range(limit)]


def _share(
    model: BfclModel,
    options: BfclOptions,
    chosen: Mapping[str, Sequence[str]],
    needs: Mapping[str, Sequence[str]],
) -> Model:
    """What is left to do for a model; makes its folders."""
    parts = model.out / "parts" / _fingerprint(model, options)[:16]
    results.take_over(parts, model.out.parent.parent)
    (parts / "memory").mkdir(parents=True, exist_ok=True)
    results.end_last_line(parts)
    done = results.finished(parts)
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in (name for ids in chosen.values() for name in ids if name not in done):
        # Prerequisites and what needs them stay together; the rest may go anywhere.
        groups.setdefault(tuple(needs[name]) or (name,), []).append(name)
    ordered = [
        tuple(dict.fromkeys([*(name for name in first if name not in done), *names]))
        for first, names in groups.items()
    ]
    ordered.sort(key=len, reverse=True)  # chains take longest
    seed, served = options.sampling.seed, options.served_name
    return Model(model.name, model.path, str(parts), tuple(ordered), model.max_model_tokens, seed, served)


def _fingerprint(model: BfclModel, options: BfclOptions) -> str:
    """What an entry's outcome depends on; how fast it is played, and which others are, is left out."""
    sampling = replace(options.sampling, max_model_tokens=model.max_model_tokens)
    value = {
        "model": model.fingerprint,
        "version": options.version,
        "style": options.style,
        "sampling": asdict(sampling),
        "served": served_as(options.endpoint, options.named) if options.endpoint else options.engine.dtype,
        "limits": [options.limits.seconds, options.limits.memory],
    }
    if options.unclosed != "failed":
        value["unclosed"] = options.unclosed
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _collect(
    model: BfclModel,
    parts: Path,
    options: BfclOptions,
    chosen: Mapping[str, Sequence[str]],
    hello: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes a model's results in BFCL's order, `info.json` last; returns that."""
    info = model.out / "info.json"
    info.unlink(missing_ok=True)
    rows = results.finished(parts)
    for stale in model.out.glob("*.jsonl"):
        stale.unlink()
    for category, names in chosen.items():
        write_text(model.out / f"{category}.jsonl", "".join(dump(rows[name]) for name in names))
    value = {
        "bfcl_version": options.version,
        "categories": list(chosen),
        "not_run": dict(hello["not_run"]),
        "entries": {category: len(names) for category, names in chosen.items()},
        "limit": options.limit,
        "isolation": hello["isolation"],
        "prompt_style": options.style,
        "sampling": asdict(replace(options.sampling, max_model_tokens=model.max_model_tokens)),
        "unclosed": options.unclosed,
        "limits": {"call_seconds": options.limits.seconds, "memory_mib": options.limits.memory},
        "fingerprint": parts.name,
    }
    write_json(info, value)
    return value
