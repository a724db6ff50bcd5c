"""What a run is and how it went: the head of the report and the times of its stages."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import UserError
from ...run.attempts import attempts
from ...run.manifest import Manifest
from ...run.paths import RunDir
from .evaluation import held_out

_TITLES = {
    "synth": "Synthesis",
    "data": "Data",
    "sft": "SFT",
    "rl": "RL",
    "export": "Export",
    "eval": "Evaluation",
}


def stage_records(run: RunDir) -> dict[str, dict[str, Any]]:
    """Each stage that ran with its record in the manifest; none where there is no readable manifest."""
    try:
        manifest = Manifest(run)
    except (UserError, OSError):
        return {}
    return {name: record for name in _TITLES if (record := manifest.stage(name))}


def state(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """The run in a word: `running`, `failed`, `stopped`, `done`, or empty for one without stages."""
    states = [str(record.get("state")) for record in stages.values()]
    return next((word for word in ("running", "failed", "stopped", "done") if word in states), "")


def timeline(run: RunDir, stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """When each stage ran, in seconds from the first one's start.

    A stage that was resumed has a bar for each time. Where no time was noted, stages stand one after the
    other, as long as they took.
    """
    spans = _spans(attempts(run))
    first = min((start for some in spans.values() for start, _, _ in some), default=None)
    rows: list[dict[str, Any]] = []
    clock = 0.0
    for name, record in stages.items():
        seconds = float(record.get("seconds") or 0.0)
        if first is not None and name in spans:
            bars = [
                {"from": round(start - first, 1), "to": round(end - first, 1), "state": how}
                for start, end, how in spans[name]
            ]
        else:
            bars = [{"from": round(clock, 1), "to": round(clock + seconds, 1), "state": record.get("state")}]
        clock = max([clock, *(float(str(bar["to"])) for bar in bars)])
        rows.append(
            {
                "stage": name,
                "title": _TITLES.get(name, name),
                "state": str(record.get("state") or ""),
                "seconds": seconds,
                "peak_bytes": int(record.get("peak_bytes") or 0),
                "attempts": int(record.get("attempts") or 1),
                "headline": str((record.get("result") or {}).get("headline") or ""),
                "bars": bars,
            }
        )
    return {"rows": rows, "end": clock, "clock": first is not None}


def _spans(records: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[float, float, str]]]:
    found: dict[str, list[tuple[float, float, str]]] = {}
    for record in records:
        stages = record.get("stages")
        for name, one in (stages if isinstance(stages, dict) else {}).items():
            start = _seconds(one.get("started"))
            end = _seconds(one.get("ended")) or _seconds(record.get("ended"))
            if start is not None:
                end = datetime.now(UTC).timestamp() if end is None and one.get("state") == "running" else end
                found.setdefault(name, []).append((start, max(start, end or start), str(one.get("state"))))
    return found


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError, OSError):  # of a year that the machine's clock does not know
        return None


def facts(run: RunDir, stages: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]) -> list[list[str]]:
    """Name and value of what a reader asks first: command, seed, model, commit, dates, machine."""
    records = attempts(run)
    last = records[-1] if records else {}
    model, cluster = section(config, "model"), section(config, "cluster")
    result = _results(stages)
    parameters = result.get("sft", {}).get("parameters")
    made = " parameters, made here with random weights" if not model.get("path") else " parameters"
    size = f"{parameters:,}{made}" if isinstance(parameters, int) else ""
    found = [
        ("command", _command(last)),
        ("model", ", ".join(filter(None, (str(model.get("path") or ""), size)))),
        ("seed", str(config.get("seed", ""))),
        ("commit", _commit(stages)),
        ("started", _date(records[0].get("started") if records else None)),
        ("ended", _date(last.get("ended"))),
        ("attempts", str(len(records)) if len(records) > 1 else ""),
        ("cluster", _cluster(cluster)),
        ("host", str(last.get("host") or "")),
        ("data", _listed(section(config, "data").get("datasets"))),
        ("algorithm", str(section(section(config, "rl"), "algorithm").get("name") or "")),
        ("version", f"funreason-train {_version(stages)}"),
        ("folder", str(run.root)),
    ]
    return [[name, value] for name, value in found if value]


def section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of the settings; empty where it is none."""
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _results(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: record.get("result") or {} for name, record in stages.items()}


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _command(record: Mapping[str, Any]) -> str:
    words = record.get("command")
    return shlex.join(["funreason-train", *map(str, words)]) if isinstance(words, list) and words else ""


def _version(stages: Mapping[str, Mapping[str, Any]]) -> str:
    found = [record.get("versions", {}).get("funreason-train") for record in stages.values()]
    return ", ".join(dict.fromkeys(str(one) for one in found if one)) or __version__


def _commit(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """The commit of the latest stage that knows its own, with a word if the work tree differed from it."""
    for record in reversed([*stages.values()]):
        git = section(section(record, "origin"), "git")
        if commit := git.get("commit"):
            return str(commit)[:12] + (" with changes of its own" if git.get("dirty") else "")
    return ""


def _date(text: Any) -> str:
    seconds = _seconds(text)
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _cluster(cluster: Mapping[str, Any]) -> str:
    if not cluster:
        return ""
    nodes, gpus = cluster.get("nodes") or 1, cluster.get("gpus_per_node") or 0
    size = f"{nodes} node{'s' if nodes != 1 else ''}" + (f" of {gpus} GPUs" if gpus else ", CPU")
    return f"{cluster.get('name', '')} ({size})"


def tiles(
    run: RunDir, stages: Mapping[str, Mapping[str, Any]], training: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """The figures that matter most, each with its name and a note."""
    found = []
    for one in held_out(run):
        note = f"{one['tasks']} tasks"
        if "gain" in one:
            mean, low, high = (f"{100 * value:+.1f}" for value in one["gain"])
            note = f"{mean} points on SFT ({low} to {high})"
        name = "Base model" if one["name"] == "base" else one["name"].upper()
        found.append(
            {"name": f"{name}, held-out tasks", "value": f"{100 * one['value']:.1f} %", "note": note}
        )
    for stage in training:
        if value := _last(stage):
            found.append(value)
    seconds = sum(float(record.get("seconds") or 0) for record in stages.values())
    peak = max((int(record.get("peak_bytes") or 0) for record in stages.values()), default=0)
    if seconds:
        note = f"{peak / 2**30:.1f} GiB at the peak" if peak else ""
        found.append({"name": "Time of all stages", "value": duration(seconds), "note": note})
    return found


def _last(stage: Mapping[str, Any]) -> dict[str, str] | None:
    """The last figure of a stage's first chart."""
    for chart in stage["charts"][:1]:
        one = chart["series"][0]
        value = next((value for value in reversed(one["values"]) if value is not None), None)
        if value is not None:
            total = stage["total"]
            note = f"step {stage['steps']:,}" + (f" of {total:,}" if total else "")
            short = {"sft": "SFT", "rl": "RL"}.get(stage["stage"], stage["title"])
            return {"name": f"{short} {chart['title'].lower()}", "value": f"{value:.3g}", "note": note}
    return None


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def links(run: RunDir, data: Path) -> list[dict[str, str]]:
    """Pages and files beside the report, by a path relative to it."""
    places = [
        ("Data card", data / "card.html"),
        ("Card of the synthesis", run.synth / "card.html"),
        ("Held-out tasks, model beside model", run.eval_failures()),
        ("Own tasks, model beside model", run.eval_failures("custom")),
        ("BFCL, model beside model", run.eval_failures("bfcl")),
        ("Manifest", run.manifest),
        ("Settings", run.config),
    ]
    return [
        {"name": name, "href": str(path.relative_to(run.root))}
        for name, path in places
        if path.is_file() and path.is_relative_to(run.root)
    ]
