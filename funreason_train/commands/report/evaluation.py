"""What the models of a run reached, benchmark by benchmark, from the files that the evaluations wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UserError
from ...evaluate.results import read_scores
from ...evaluate.results import verdicts as read_verdicts
from ...pages.comparison import compare, share
from ...pages.table import Table
from ...plain import is_finite
from ...run.files import MISSHAPEN, read_json
from ...run.paths import RunDir

_TITLES = {"heldout": "Held-out tasks", "custom": "Tasks of one's own", "bfcl": "BFCL"}
#: What comes first where all of them are there.
_ORDER = ("base", "sft", "rl")


def evaluations(run: RunDir) -> list[dict[str, Any]]:
    """Each benchmark with the shares of its models, its tables and the page of its tasks.

    A result that another version wrote, or that cannot be read, is named with the reason.
    """
    return [found for benchmark in _TITLES if (found := _benchmark(run, benchmark))]


def _benchmark(run: RunDir, benchmark: str) -> dict[str, Any] | None:
    scores: dict[str, Mapping[str, Any]] = {}
    notes = []
    for name in _models(run, benchmark):
        try:
            scores[name] = read_scores(run.eval(name, benchmark))
        except UserError as error:
            notes.append(str(error))
            continue
        if "accuracy" in scores[name] and "ci95" not in scores[name]:
            del scores[name]
            notes.append(
                f"{name}: its scores.json has no interval (ci95), so it is not shown; evaluate it again."
            )
    if not scores and not notes:
        return None
    page = run.eval_failures(benchmark)
    scores = {name: one for name, one in scores.items() if _whole(name, one, notes)}
    return {
        "title": _TITLES[benchmark],
        "benchmark": benchmark,
        "shares": _shares(scores),
        "tables": [table.to_json() for table in _tables(run, benchmark, scores, notes)],
        "notes": notes,
        "page": str(page.relative_to(run.root)) if page.is_file() else None,
    }


def _models(run: RunDir, benchmark: str) -> list[str]:
    folder = run.root / "eval"
    found = [
        path.name for path in folder.glob("*") if (run.eval(path.name, benchmark) / "scores.json").is_file()
    ]
    return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


def _whole(name: str, scores: Mapping[str, Any], notes: list[str]) -> bool:
    """Whether a model's figures can be shown; if not, a note says so."""
    try:
        for part in (_shares, _reasons, _columns):
            part({name: scores})
        if "accuracy" in scores:
            compare({name: scores}, {name: {}})
    except MISSHAPEN:
        notes.append(f"{name}: its scores.json is damaged, so it is not shown; evaluate it again.")
        return False
    return True


def _shares(scores: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How often each model is right, where a benchmark has one figure for it."""
    return [
        {
            "name": name,
            "value": float(one["accuracy"]),
            "low": float(one["ci95"][0]),
            "high": float(one["ci95"][1]),
            "tasks": one["tasks"],
        }
        for name, one in scores.items()
        if "accuracy" in one
    ]


def _tables(
    run: RunDir, benchmark: str, scores: Mapping[str, Mapping[str, Any]], notes: list[str]
) -> list[Table]:
    if not scores:
        return []
    if benchmark == "bfcl":
        versions = dict.fromkeys(map(_version, scores.values()))
        if len(versions) > 1:
            notes.append("Scores of two versions of BFCL cannot be compared, so each version has a table.")
        notes += [
            f"{name}: a sample of at most {one['limit']} entries of each category, not the whole benchmark."
            for name, one in scores.items()
            if one.get("limit")
        ]
        return [
            _columns({name: one for name, one in scores.items() if _version(one) == version})
            for version in versions
        ]
    try:
        verdicts = {name: read_verdicts(run.eval(name, benchmark) / "episodes.jsonl") for name in scores}
        alike = _alike(scores, verdicts)
        if len(alike) > 1:
            named = "; ".join(", ".join(group) for group in alike)
            notes.append(
                "Not all models were given the same tasks as often, so these stand in tables of their own: "
                f"{named}."
            )
        return [
            table
            for group in alike
            for table in (compare(group, verdicts, "Tasks done right"), _reasons(group))
        ]
    except (OSError, *MISSHAPEN) as error:
        notes.append(f"The models cannot be set side by side: {error}.")
        return []


def _alike(
    scores: Mapping[str, Mapping[str, Any]], verdicts: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Mapping[str, Any]]]:
    """The models in groups that were given the same tasks of the same file as often, in their order."""
    groups: dict[Any, dict[str, Mapping[str, Any]]] = {}
    for name, one in scores.items():
        key = (frozenset(verdicts[name]), str(one.get("tasks_sha256")), int(one.get("attempts", 1)))
        groups.setdefault(key, {})[name] = one
    return list(groups.values())


def _reasons(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    names = list(scores)
    counts = {name: dict(one.get("wrong_because", {})) for name, one in scores.items()}
    totals: dict[str, int] = {}
    for one in counts.values():
        for reason, count in one.items():
            totals[reason] = totals.get(reason, 0) + count
    rows = tuple(
        (reason, *(f"{counts[name].get(reason, 0):,}" for name in names))
        for reason in sorted(totals, key=lambda reason: -totals[reason])
    )
    return Table("Why tasks went wrong", ("first reason", *names), rows, notes=())


def _columns(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """BFCL's columns with their intervals, of models that were evaluated with the same version."""
    names = list(scores)
    keys = dict.fromkeys(key for one in scores.values() for key in one.get("columns", {}))
    rows = []
    for key in keys:
        parts = [scores[name].get("columns", {}).get(key, {}) for name in names]
        if any("value" in part for part in parts):
            rows.append((key.replace("_", " "), *(_figure(part) for part in parts)))
    version = _version(next(iter(scores.values())))
    return Table(f"BFCL {version}".strip(), ("column", *names), tuple(rows))


def _version(scores: Mapping[str, Any]) -> str:
    return str(scores.get("bfcl_version", ""))


def _figure(part: Mapping[str, Any]) -> str:
    if "value" not in part:
        return "not run"
    return share(part["value"], part["ci95"]) if "ci95" in part else f"{100 * part['value']:.1f} %"


def held_out(run: RunDir) -> list[dict[str, Any]]:
    """The held-out shares of the models that every run has, with the tasks that each was given.

    The scores count; `summary.json` is of the end of a pipeline, and a model may have been evaluated since.

    Returns:
        `name`, `value`, `tasks`, and `gain` where the summary has the difference of this very score to SFT's.
    """
    summary = _summary(run)
    values = {name: summary.get(name) for name in _ORDER}
    tasks = dict.fromkeys(_ORDER, summary.get("tasks", ""))
    for name in _ORDER:
        try:
            scores = read_scores(run.eval(name))
        except UserError:
            continue
        values[name], tasks[name] = scores.get("accuracy"), scores.get("tasks", "")
    found = [
        {"name": name, "value": value, "tasks": tasks[name]}
        for name, value in values.items()
        if is_finite(value)
    ]
    low_high: Any = summary.get("rl_minus_sft_ci95")
    gain = [summary.get("rl_minus_sft"), *(low_high if isinstance(low_high, list) else [])]
    of_these = all(values[name] == summary.get(name) for name in ("sft", "rl"))
    if found and found[-1]["name"] == "rl" and of_these and len(gain) == 3 and all(map(is_finite, gain)):
        found[-1]["gain"] = gain
    return found


def _summary(run: RunDir) -> Mapping[str, Any]:
    """The held-out figures of `summary.json`; empty without one."""
    try:
        found = dict(read_json(run.summary)).get("heldout", {})
    except (OSError, ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
