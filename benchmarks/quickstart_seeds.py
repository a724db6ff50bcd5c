"""README's table: what the quickstart reached at several seeds.

for s in 0 1 2; do bash launch/quickstart.sh seed=$s run_dir=runs/seed$s; done
python benchmarks/quickstart_seeds.py runs/seed0 runs/seed1 runs/seed2
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

MODELS = ("base", "sft", "rl")
REPLACED = "training/filter_groups/evicted_samples"  # since all samples of such a group scored the same


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def seed_row(run: Path) -> str:
    """One run: accuracies, the paired difference, groups replaced in a step, time and memory."""
    summary = read(run / "summary.json")
    held = summary["heldout"]
    low, high = held["rl_minus_sft_ci95"]
    lines = (run / "rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    replaced = [json.loads(line).get(REPLACED, 0.0) for line in lines]
    cells = [
        str(summary["seed"]),
        *(f"{100 * held[name]:.1f} %" for name in MODELS),
        f"{100 * held['rl_minus_sft']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
        f"{sum(replaced) / len(replaced):.0f} ({min(replaced):.0f} to {max(replaced):.0f})",
        f"{summary['seconds']['total'] / 60:.1f} min",
        f"{summary['peak_bytes'] / 2**30:.1f} GiB",
    ]
    return f"| {' | '.join(cells)} |"


def category_rows(runs: list[Path]) -> list[str]:
    """Right and all tasks of each category, summed over the runs."""
    scores = {
        name: [read(run / "eval" / name / "scores.json")["categories"] for run in runs] for name in MODELS
    }
    rows = []
    for category in sorted({name for part in scores["base"] for name in part}):
        parts = {name: [part[category] for part in scores[name] if category in part] for name in MODELS}
        tasks = sum(part["tasks"] for part in parts["base"])
        shares = (f"{100 * sum(part['right'] for part in parts[name]) / tasks:.1f} %" for name in MODELS)
        rows.append(f"| {' | '.join([category, str(tasks), *shares])} |")
    return rows


def main() -> None:
    """Prints both tables as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="run directories of the quickstart")
    runs = parser.parse_args().runs
    print(f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}\n")
    print("| seed | base | SFT | RL | RL minus SFT, points (95 %) | groups replaced a step | time | memory |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for run in runs:
        print(seed_row(run))
    print("\n| category | tasks | base | SFT | RL |\n|---|---:|---:|---:|---:|")
    for row in category_rows(runs):
        print(row)


if __name__ == "__main__":
    main()
