"""What a whole run reached: `summary.json`, the table on the screen, and the page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ..evaluate.statistics import paired_difference
from .display import console
from .manifest import Manifest
from .paths import RunDir, read_json, write_json
from .report import write_report

if TYPE_CHECKING:
    from omegaconf import DictConfig


def heldout(run: RunDir, names: list[str]) -> dict[str, Any]:
    """The held-out figures of `names` from their score files.

    Returns:
        `{NAME: accuracy, "tasks": n, "LATER_minus_EARLIER_ci95": [lo, hi], …}`, accuracies in 0..1.
    """
    scores = {name: read_json(run.eval(name) / "scores.json") for name in names}
    figures: dict[str, Any] = {name: score["accuracy"] for name, score in scores.items()}
    figures["tasks"] = next(iter(scores.values()))["tasks"]
    verdicts = {name: read_verdicts(run.eval(name) / "episodes.jsonl") for name in names}
    for earlier, later in itertools.pairwise(names):
        if verdicts[earlier].keys() != verdicts[later].keys():
            raise ValueError(f"{earlier} and {later} were not evaluated on the same tasks")
        order = sorted(verdicts[later])
        a = [verdicts[earlier][task] for task in order]
        b = [verdicts[later][task] for task in order]
        difference = paired_difference(a, b)
        figures[f"{later}_minus_{earlier}"] = difference.mean
        figures[f"{later}_minus_{earlier}_ci95"] = [difference.low, difference.high]
    return figures


def read_verdicts(path: Path) -> dict[str, bool]:
    """Task id to verdict from an evaluation's episode file."""
    with path.open(encoding="utf-8") as file:
        return {row["id"]: bool(row["right"]) for row in map(json.loads, file)}


def summarise(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Writes `summary.json` and `report.html` and prints the closing table."""
    names = [name for name in ("base", "sft", "rl") if (run.eval(name) / "scores.json").is_file()]
    stages = {name: Manifest(run).stage(name) for name in config.pipeline.stages}
    seconds = {name: record.get("seconds", 0.0) for name, record in stages.items()}
    summary: dict[str, Any] = {
        "heldout": heldout(run, names) if names else {},
        "seconds": {**seconds, "total": round(sum(seconds.values()), 1)},
        "peak_bytes": max((record.get("peak_bytes", 0) for record in stages.values()), default=0),
        "seed": config.seed,
    }
    write_json(run.summary, summary)
    write_report(run, names, summary, stages)
    if names:
        console.print(score_table(run, names))
        _print_difference(summary["heldout"])
    minutes = summary["seconds"]["total"] / 60
    console.print(f"{minutes:.1f} minutes, {summary['peak_bytes'] / 2**30:.1f} GiB at the peak")
    console.print(f"Report: {run.report}", highlight=False, soft_wrap=True)
    return summary


def score_table(run: RunDir, names: list[str]) -> Table:
    """One row a category, one column a model, with counts; the last row is all tasks with its interval."""
    scores = {name: read_json(run.eval(name) / "scores.json") for name in names}
    tasks = next(iter(scores.values()))["tasks"]
    table = Table(title=f"Held-out tasks done right ({tasks} tasks never used in training or tuning)")
    table.add_column("category")
    for name in names:
        table.add_column({"sft": "SFT", "rl": "RL"}.get(name, name), justify="right")
    for category in sorted(next(iter(scores.values()))["categories"]):
        cells = [score["categories"][category] for score in scores.values()]
        table.add_row(f"{category} ({cells[0]['tasks']})", *(f"{cell['accuracy']:.1%}" for cell in cells))
    table.add_section()
    totals = (
        f"[bold]{score['accuracy']:.1%}[/] ({score['ci95'][0]:.1%} to {score['ci95'][1]:.1%})"
        for score in scores.values()
    )
    table.add_row("[bold]all, with 95 % interval", *totals)
    return table


def _print_difference(figures: dict[str, Any]) -> None:
    for key in (key for key in figures if key.endswith("_ci95")):
        low, high = figures[key]
        later, earlier = key.removesuffix("_ci95").split("_minus_")
        mean = figures[f"{later}_minus_{earlier}"]
        console.print(
            f"{later.upper()} minus {earlier}: {100 * mean:+.1f} points on the same tasks "
            f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})",
            highlight=False,
        )
