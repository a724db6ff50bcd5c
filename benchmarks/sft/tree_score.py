"""Trees against rows one by one: the quickstart's SFT both ways, on its held-out tasks and by the clock.

python benchmarks/sft/tree_score.py [--seeds 0 1 2] [--out DIR] [--settings synth.trajectories=500 …]

Both start from the same random weights and the same rows; a step has six trees of about 2.6 rows, or sixteen
rows, and the epochs are the recipe's. Each stage continues where it was stopped, and one that is done is
skipped, so the same command goes on after a kill. Times are those of the SFT stage, start and end included;
they say something only if nothing else runs beside.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from funreason_train.pages.statistics import mean_over_seeds, paired_difference, wilson

_RECIPE = "+recipe=quickstart_cpu"
_ROWS = ("sft.tree=false", "sft.global_batch=16", "sft.per_device_batch=8")
WAYS = ("rows", "trees")


def command(*words: str) -> None:
    """Runs a command of the project.

    Raises:
        SystemExit: it failed.
    """
    print("funreason-train", *words, flush=True)
    if subprocess.run([sys.executable, "-m", "funreason_train", *words]).returncode:
        raise SystemExit(f"Error: `funreason-train {words[0]}` failed (its message is above).")


def train(folder: Path, seed: int, settings: list[str]) -> None:
    """Makes a seed's data, trains both ways and plays the held-out tasks with both models."""
    trees, rows = folder / "trees", folder / "rows"
    fixed = (_RECIPE, f"seed={seed}", *settings)
    for stage in ("synth", "data", "sft"):
        command(stage, *fixed, f"run_dir={trees}")
    same = (f"sft.model={trees / 'base'}", f"sft.data={trees / 'data' / 'sft'}")
    command("sft", *fixed, f"run_dir={rows}", *same, *_ROWS)
    models = ",".join(f"{way}: '{folder / way / 'sft' / 'model'}'" for way in WAYS)
    tasks = trees / "synth" / "tasks" / "heldout.jsonl"
    command("eval", *fixed, f"run_dir={folder / 'eval'}", f"models={{{models}}}", f"eval.tasks={tasks}")


def seconds(run: Path) -> float:
    """What the SFT stage of a run took."""
    stages: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["stages"]
    return float(stages["sft"]["seconds"])


def verdicts(folder: Path, way: str) -> dict[str, bool]:
    """Whether each task was done right."""
    file = folder / "eval" / "eval" / way / "episodes.jsonl"
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {row["id"]: bool(row["right"]) for row in rows}


def table(out: Path, seeds: list[int]) -> list[str]:
    """Accuracies, the paired difference and the times, as Markdown."""
    lines = [
        "| seed | rows | trees | trees minus rows, points (95 %) | rows, s | trees, s | times as fast |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    both: dict[str, list[bool]] = {way: [] for way in WAYS}
    times: dict[str, float] = dict.fromkeys(WAYS, 0.0)
    means: list[float] = []
    for seed in seeds:
        folder = out / f"seed{seed}"
        found = {way: verdicts(folder, way) for way in WAYS}
        if found["rows"].keys() != found["trees"].keys():
            raise SystemExit(f"Error: the two models of seed {seed} did not play the same tasks.")
        right = {way: [found[way][task] for task in sorted(found[way])] for way in WAYS}
        took = {way: seconds(folder / way) for way in WAYS}
        lines.append(_line(str(seed), right, took))
        means.append(paired_difference(right["rows"], right["trees"]).mean)
        for way in WAYS:
            both[way] += right[way]
            times[way] += took[way]
    if len(seeds) > 1:
        lines.append(_line("all", both, times))
        over = mean_over_seeds(means)
        lines += [
            "",
            f"Over the seeds' differences (Student): {100 * over.mean:+.1f} points, {100 * over.low:+.1f} to "
            f"{100 * over.high:+.1f}.",
        ]
    return lines


def _line(name: str, right: dict[str, list[bool]], took: dict[str, float]) -> str:
    shares = []
    for way in WAYS:
        low, high = wilson(sum(right[way]), len(right[way]))
        share = sum(right[way]) / len(right[way])
        shares.append(f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
    gap = paired_difference(right["rows"], right["trees"])
    cells = [
        *(name, *shares, f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"),
        *(f"{took['rows']:,.0f}", f"{took['trees']:,.0f}", f"{took['rows'] / took['trees']:.2f}"),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/tree_score"))
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    parser.add_argument("--settings", nargs="*", default=[], help="further words of every stage")
    options = parser.parse_args()
    out = options.out.absolute()
    if not options.table:
        for seed in options.seeds:
            train(out / f"seed{seed}", seed, options.settings)
    print(f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}\n")
    print("\n".join(table(out, options.seeds)))


if __name__ == "__main__":
    main()
