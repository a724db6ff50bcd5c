"""The BFCL benchmark as a stage: from the settings to scores, the paper's tables and a page of failures."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cluster.profile import available_cores
from ...dialogue import prompt_style
from ...environments.sandbox.limits import CallLimits
from ...errors import UserError
from ...models.folder import context_of, local_folder
from ...pages.charts import Share
from ...run.files import write_json, write_text
from ...run.paths import RunDir
from ..attempts import Attempt, Attempts
from ..browser import label, write_browser
from ..job import model_fingerprint
from ..play import dump
from ..results import FORMAT
from ..serve.endpoint import choose_served
from ..serve.serving import engine_options, replica_environments, sampling_of
from ..settings import attempts_of
from . import scores as scoring
from .categories import choose_categories
from .run import BfclModel, BfclOptions, is_finished, run_bfcl
from .table import build, pairs, screen

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OVERALL = (("multi_turn.overall", "multi-turn"), ("single_turn.overall", "single-turn"))
_MOST = 1_000_000  # more entries than there are: every replica has something to do


@dataclass(frozen=True)
class _Played:
    """What one model did.

    Attributes:
        rows: The rows of each attempt.
        not_run: Category to the reason.
        info: Of its first attempt.
    """

    rows: list[dict[str, list[dict[str, Any]]]]
    not_run: dict[str, str]
    info: dict[str, Any]


def evaluate(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Answers BFCL with every model; writes `eval/NAME/bfcl/{scores.json,failures.jsonl}` beside the results
    of `run_bfcl`, and `eval/bfcl.{md,html,json}`.

    Returns:
        See `stage.run`.

    Raises:
        UserError: for everything that the user can fix.
        ReplicaFailed: if an engine crashed.
    """
    settings = config.eval
    version, attempts = str(settings.bfcl.version), attempts_of(settings)
    categories = choose_categories(settings.categories)
    names = [str(name) for name in settings.models]
    for name in names:
        _refuse_other_version(run.eval(name, "bfcl"), version)
    models = [_model(config, run, name, str(path)) for name, path in settings.models.items()]
    started = time.monotonic()
    options = _options(config, categories)
    for attempt in attempts.all:
        own = replace(options, sampling=replace(options.sampling, seed=attempt.sampling_seed))
        _answer([_at(model, attempt, attempts) for model in models], own, run.latest_logs)
    played = {model.name: _played(model, attempts) for model in models}
    return _write(config, run, models, played, attempts, round(time.monotonic() - started, 1))


def _refuse_other_version(folder: Path, version: str) -> None:
    info = scoring.read_info(folder)
    if info is not None and str(info["bfcl_version"]) != version:
        raise UserError(
            f"there are results of BFCL {info['bfcl_version']} here, and version {version} is asked for; "
            "scores of two versions cannot be compared",
            where=str(folder),
            fix=f"Use bfcl.version={info['bfcl_version']}, another run_dir=DIR, or restart=eval, which "
            "keeps the old results under old/",
        )


def _model(config: DictConfig, run: RunDir, name: str, path: str) -> BfclModel:
    folder = local_folder(path)
    context = context_of(folder, int(config.eval.max_model_tokens))
    return BfclModel(name, str(folder), run.eval(name, "bfcl"), model_fingerprint(folder), context)


def _at(model: BfclModel, attempt: Attempt, attempts: Attempts) -> BfclModel:
    """The model with the folder of one attempt; the first one has the model's own."""
    first = attempt == attempts.all[0]
    return model if first else replace(model, out=model.out / "attempts" / attempt.folder)


def _options(config: DictConfig, categories: tuple[str, ...]) -> BfclOptions:
    settings, engine = config.eval, engine_options(config)
    # Behind an endpoint the processes only render, check and execute calls: one a core.
    replicas = settings.replicas or available_cores() if settings.endpoint else None
    return BfclOptions(
        version=str(settings.bfcl.version),
        categories=categories,
        sampling=sampling_of(config),
        engine=engine,
        limits=CallLimits(
            float(settings.bfcl.call_seconds),
            float(config.call_limits.wall_seconds),
            int(settings.bfcl.memory_mib),
        ),
        style=prompt_style(config.protocol),
        limit=settings.limit,
        concurrency=int(settings.concurrency),
        endpoint=settings.endpoint,
        served_name=settings.served_name,
        named=settings.served_name,
        replicas=replica_environments(config, engine, replicas, _MOST),
        patience=float(settings.patience_seconds),
        unclosed=settings.bfcl.unclosed,
    )


def _answer(models: Sequence[BfclModel], options: BfclOptions, logs: Path) -> None:
    """Runs what is left of one attempt; behind an endpoint each model under the name it is served by."""
    logs.mkdir(parents=True, exist_ok=True)
    if not options.endpoint:
        run_bfcl(models, options, logs)
        return
    for model in models:
        if is_finished(model, options):  # its server may have made room for another model's
            continue
        served = choose_served(options.endpoint, options.served_name, model.path)
        run_bfcl([model], replace(options, served_name=served), logs)


def _played(model: BfclModel, attempts: Attempts) -> _Played:
    rows: list[dict[str, list[dict[str, Any]]]] = []
    not_run: dict[str, str] = {}
    first: dict[str, Any] = {}
    for attempt in attempts.all:
        folder = _at(model, attempt, attempts).out
        info = scoring.read_info(folder)
        if info is None:
            raise UserError(
                "the results are not finished", where=str(folder), fix="Run the same command again"
            )
        first = first or info
        not_run |= {str(name): str(why) for name, why in info["not_run"].items()}
        rows.append(scoring.read_rows(folder, [name for name in info["categories"] if name not in not_run]))
    return _Played(rows, not_run, first)


def _write(
    config: DictConfig,
    run: RunDir,
    models: Sequence[BfclModel],
    played: Mapping[str, _Played],
    attempts: Attempts,
    seconds: float,
) -> dict[str, Any]:
    settings, version = config.eval, str(config.eval.bfcl.version)
    tries = {name: scoring.tries_of(one.rows) for name, one in played.items()}
    scores = {}
    for model in models:
        name = model.name
        wrong = [row for row in _marked(played[name].rows, attempts) if not row["right"]]
        write_text(model.out / "failures.jsonl", "".join(map(dump, wrong)))
        scores[name] = {
            "format": FORMAT,
            "benchmark": "bfcl",
            "bfcl_version": version,
            **scoring.score(tries[name], attempts, played[name].not_run),
            "not_run": played[name].not_run,
            "wrong_because": scoring.reasons(wrong),
            "model": {"name": name, "path": model.path, "fingerprint": model.fingerprint},
            "max_model_tokens": model.max_model_tokens,
            "limit": settings.limit,
            "prompt_style": prompt_style(config.protocol),
            "sampling": {key: settings[key] for key in ("temperature", "top_p", "max_tokens")},
            "seeds": list(attempts.seeds),
            "samples": attempts.samples,
        }
        write_json(model.out / "scores.json", scores[name])
    differences = [
        {"earlier": a, "later": b, **scoring.difference(tries[a], tries[b], attempts)}
        for a, b in pairs(list(played))
    ]
    text = build(scores, differences, attempts, version, _notes(config, attempts, played))
    write_text(run.eval_table("bfcl"), text)
    write_json(
        run.root / "eval" / "bfcl.json",
        {"bfcl_version": version, "models": scores, "differences": differences},
    )
    entries = max(sum(map(len, one.values())) for one in tries.values())
    write_browser(
        run.eval_failures("bfcl"),
        f"BFCL {version}",
        {name: _browsable(one.rows, attempts) for name, one in played.items()},
        _shares(scores),
        "../report.html",
    )
    return {
        "models": {name: {"columns": found["columns"]} for name, found in scores.items()},
        "shown": [screen(scores, differences, version).to_json()],
        "table": str(run.eval_table("bfcl")),
        "failures": str(run.eval_failures("bfcl")),
        "play_seconds": seconds,
        "headline": f"BFCL {version}, {entries} entries; {_headline(scores)}{run.eval_table('bfcl')}",
    }


def _shares(scores: Mapping[str, Mapping[str, Any]]) -> list[Share]:
    """The overall columns that every model has, for a chart."""
    found = []
    for key, title in _OVERALL:
        parts = {name: one["columns"][key] for name, one in scores.items()}
        if all("value" in part for part in parts.values()):
            found += [Share(f"{name}, {title}", p["value"], *p["ci95"]) for name, p in parts.items()]
    return found


def _headline(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The overall columns in a few words."""
    parts = []
    for key, title in _OVERALL:
        values = {name: found["columns"][key].get("value") for name, found in scores.items()}
        if any(value is not None for value in values.values()):
            each = ", ".join(f"{name} {v:.1%}" for name, v in values.items() if v is not None)
            parts.append(f"{title} {each}; ")
    return "".join(parts)


def _notes(config: DictConfig, attempts: Attempts, played: Mapping[str, _Played]) -> list[str]:
    settings, notes = config.eval, []
    if settings.limit is not None:
        notes.append(
            f"A sample: at most {settings.limit} entries of each category (limit={settings.limit}), spread "
            "evenly; not the whole benchmark."
        )
    if prompt_style(config.protocol) != "bfcl":
        notes.append(
            f"Prompts have the {prompt_style(config.protocol)} system prompt (protocol.system, .escape), not"
            " BFCL's own."
        )
    drawn = "greedy" if settings.temperature == 0 else f"temperature {settings.temperature}"
    notes.append(
        f"Sampling: {drawn}, top_p {settings.top_p}, at most {settings.max_tokens} tokens; "
        f"seed{'s' if len(attempts.seeds) > 1 else ''} {', '.join(map(str, attempts.seeds))}, "
        f"{attempts.samples} sample{'s' if attempts.samples > 1 else ''} an entry."
    )
    return [*notes, _unclosed_note(str(settings.bfcl.unclosed), played)]


def _unclosed_note(rule: str, played: Mapping[str, _Played]) -> str:
    """How answers without `</think>` count, which in irrelevance is a matter of taste."""
    counts = []
    for name, one in played.items():
        rows = [row for attempt in one.rows for part in attempt.values() for row in part]
        counts.append(f"{name} {sum(row.get('unclosed', 0) > 0 for row in rows)} of {len(rows)}")
    found = f"Entries with an answer without </think>: {', '.join(counts)}."
    card = (
        "the model card's handler hands BFCL a sentence in its place, which is not a call, and so right in "
        "the irrelevance categories"
    )
    if rule == "card":
        return f"{found} Such an answer counts as there (bfcl.unclosed=card): {card}."
    return (
        f"{found} Such a single-turn answer is wrong in every category; {card} "
        "(bfcl.unclosed=card counts like that)."
    )


def _marked(played: Sequence[scoring.Rows], attempts: Attempts) -> list[dict[str, Any]]:
    """All rows, each with its attempt where there are several."""
    several = len(attempts.all) > 1
    return [
        {**row, **({"seed": one.seed, "sample": one.sample} if several else {})}
        for one, rows in zip(attempts.all, played, strict=True)
        for part in rows.values()
        for row in part
    ]


def _browsable(played: Sequence[scoring.Rows], attempts: Attempts) -> dict[str, list[dict[str, Any]]]:
    """Every entry's tries as the failure browser shows them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _marked(played, attempts):
        found.setdefault(row["id"], []).append(
            {
                "category": row["category"],
                "right": row["right"],
                "why": [str(reason) for reason in row["reasons"]],
                "turns": [
                    {
                        "user": _question(row.get("question")),
                        "gold": [_gold(row.get("gold"))],
                        "completions": [str(text) for text in row["completions"]],
                        "results": [],
                    }
                ],
                "prompt": str(row.get("prompt") or ""),
                "attempt": label(row["seed"], row["sample"]) if "seed" in row else "",
            }
        )
    return found


def _question(value: Any) -> str:
    """BFCL's messages by turn as text."""
    try:
        return "\n\n".join(
            "\n".join(f"[turn {number}, {message['role']}] {message['content']}" for message in turn)
            for number, turn in enumerate(value)
        )
    except (TypeError, KeyError):
        return _plain(value)


def _gold(value: Any) -> str:
    """BFCL's ground truth as text: one call a line, turns apart."""
    if not isinstance(value, list):
        return _plain(value)
    if all(isinstance(turn, list) for turn in value):
        turns = (f"[turn {number}]\n" + "\n".join(map(_line, turn)) for number, turn in enumerate(value))
        return "\n\n".join(turns)
    return "\n".join(map(_line, value))


def _line(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
