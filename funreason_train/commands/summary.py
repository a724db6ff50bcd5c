"""What a whole run reached: `summary.json`, the table on the screen, and the page."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..evaluate.results import read_scores
from ..evaluate.results import verdicts as read_verdicts
from ..pages.comparison import compare, difference
from ..pages.table import Table
from ..run.files import write_json
from ..run.manifest import Manifest
from ..run.paths import RunDir
from .display import console, print_table
from .report import write_report

if TYPE_CHECKING:
    from omegaconf import DictConfig


def heldout(run: RunDir, names: list[str]) -> tuple[dict[str, Any], Table]:
    """The held-out figures of `names`, in this order, and the table that shows them.

    Returns:
        `{NAME: accuracy, "tasks": n, "LATER_minus_EARLIER": x, "LATER_minus_EARLIER_ci95": [lo, hi], …}` with
        accuracies in 0..1, and the table.
    """
    scores = {name: read_scores(run.eval(name)) for name in names}
    verdicts = {name: read_verdicts(run.eval(name) / "episodes.jsonl") for name in names}
    figures: dict[str, Any] = {name: score["accuracy"] for name, score in scores.items()}
    figures["tasks"] = scores[names[0]]["tasks"]
    for earlier, later in pairwise(names):
        change = difference(verdicts[earlier], verdicts[later], scores[names[0]].get("attempts", 1))
        figures[f"{later}_minus_{earlier}"] = change.mean
        figures[f"{later}_minus_{earlier}_ci95"] = [change.low, change.high]
    return figures, compare(scores, verdicts, "Held-out tasks done right (never used in training or tuning)")


def summarise(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Writes `summary.json` and `report.html` and prints the closing table."""
    # Of another benchmark's run, held-out scores are those of an earlier evaluation, if there are any.
    evaluated = "eval" in config.pipeline.stages and config.eval.benchmark == "heldout"
    names = [name for name in config.eval.models if (run.eval(name) / "scores.json").is_file()]
    figures, table = heldout(run, names) if evaluated and names else ({}, None)
    stages = {name: Manifest(run).stage(name) for name in config.pipeline.stages}
    seconds = {name: record.get("seconds", 0.0) for name, record in stages.items()}
    summary: dict[str, Any] = {
        "heldout": figures,
        "seconds": {**seconds, "total": round(sum(seconds.values()), 1)},
        "peak_bytes": max((record.get("peak_bytes", 0) for record in stages.values()), default=0),
        "seed": config.seed,
    }
    write_json(run.summary, summary)
    write_report(run, config.report.rollouts, config.report.megabytes)
    if table is not None:
        print_table(table)
    minutes = summary["seconds"]["total"] / 60
    console.print(f"{minutes:.1f} minutes, {summary['peak_bytes'] / 2**30:.1f} GiB at the peak")
    console.print(f"Report: {run.report}", highlight=False, soft_wrap=True)
    return summary
