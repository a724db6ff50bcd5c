"""Whether the reward of rollouts in environments rises, on a CPU: real verl and vLLM, several seeds.

bash launch/quickstart.sh run_dir=runs/quickstart_cpu     # a model to start from, once
python benchmarks/rl/environment_rl.py --start runs/quickstart_cpu --seeds 0 1 2

Each seed makes training tasks of its own, of the kinds in which the quickstart's teacher errs, and trains the
quickstart's SFT model on them with GRPO and the progress reward. A step's reward is the mean over its tasks'
groups; since a step has few tasks, the first and the last steps are compared, each group counting once. The
same command continues what was interrupted. Further words are settings of the stage `rl`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

SYNTH = [
    "trajectories=600",
    "heldout_tasks=0",
    "tuning_tasks=0",
    "embedded.categories={single: 0, chain: 0, follow_up: 0.2, parallel: 0.5,"
    " missing: 0.3, no_tool: 0, mixed: 0}",
]
DATA = ["data.parity=off"]
RL = ["rl.rollout_mode=environment", "reward=progress", "rl.prompts_per_step=12", "rl.samples_per_prompt=8"]
_Z95 = 1.96


def command(*words: str) -> None:
    """One stage, as a user runs it."""
    subprocess.run([sys.executable, "-m", "funreason_train", *words], check=True)


def train(run: Path, start: Path, seed: int, steps: int, more: list[str]) -> None:
    """Tasks of this seed, and a run on them up to the last step."""
    common = ["+recipe=quickstart_cpu", f"run_dir={run}", f"seed={seed}"]
    model = start / "sft" / "model"
    if not (run / "data" / "rl" / "env_train.parquet").is_file():
        command("synth", *common, *SYNTH)
        command("data", *common, *DATA, f"data.tokenizer={model}")
    command("rl", *common, *RL, f"rl.model={model}", f"rl.steps={steps}", *more)


def groups(run: Path, steps: range) -> list[float]:
    """The mean score of each task's samples in these steps, every episode counting once."""
    means = []
    for step in steps:
        scores: dict[str, dict[int, float]] = defaultdict(dict)
        for line in (run / "rl" / "rollouts" / f"{step}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            scores[row["group"]][row["sample"]] = row["score"]
        means += [sum(group.values()) / len(group) for group in scores.values()]
    return means


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half of the 95 % interval."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, _Z95 * math.sqrt(variance / len(values))


def seed_row(run: Path, seed: int, steps: int, window: int) -> str:
    """One seed: first and last steps, their difference, and what a step cost."""
    first, spread = interval(groups(run, range(1, window + 1)))
    last, spread_last = interval(groups(run, range(steps - window + 1, steps + 1)))
    apart = math.hypot(spread, spread_last)
    lines = [json.loads(line) for line in (run / "rl" / "metrics.jsonl").read_text().splitlines()]

    def mean(name: str) -> float:
        values = [line[name] for line in lines]
        return float(sum(values) / len(values))

    cells = [
        str(seed),
        f"{first:.3f} ± {spread:.3f}",
        f"{last:.3f} ± {spread_last:.3f}",
        f"{last - first:+.3f} ± {apart:.3f}",
        f"{mean('health/responses'):.2f}",
        f"{100 * mean('health/groups_without_signal'):.0f} %",
        f"{max(line['health/rollout_difference'] for line in lines):.6f}",
        f"{mean('timing_s/step'):.1f} s",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Trains every seed and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--start", type=Path, default=Path("runs/quickstart_cpu"), help="run with an SFT model"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/environment_rl"), help="one folder a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--window", type=int, default=4, help="steps compared at either end")
    arguments, more = parser.parse_known_args()
    if not 1 <= arguments.window <= arguments.steps // 2:
        parser.error(f"--window {arguments.window} does not fit twice into --steps {arguments.steps}")
    if not (arguments.start / "sft" / "model").is_dir():
        parser.error(
            f"{arguments.start / 'sft' / 'model'}: there is no such folder; run the quickstart first"
        )
    for seed in arguments.seeds:
        train(arguments.out / f"seed{seed}", arguments.start, seed, arguments.steps, more)
    window = arguments.window
    print(f"\n{os.cpu_count()} cores, {platform.machine()}; start: {arguments.start / 'sft' / 'model'}")
    settings = " ".join(more) or "as shipped"
    print(f"Mean reward and its 95 % interval over tasks; {arguments.steps} steps; settings: {settings}\n")
    print(
        f"| seed | steps 1 to {window} | last {window} steps | difference | responses an episode "
        "| groups with identical rewards | rollout difference, most | a step |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for seed in arguments.seeds:
        print(seed_row(arguments.out / f"seed{seed}", seed, arguments.steps, window))


if __name__ == "__main__":
    main()
