"""Runs small trainings with the real frameworks on this machine and holds their own plans against them.

    python benchmarks/plan/cpu_runs.py FOLDER [NAME …]

Models of 10 to 15 million parameters, none of which gave the plan a constant. Every run of sft and rl writes
its plan before it starts; afterwards one line goes to FOLDER/held_out.jsonl: planned and measured seconds of
a step, tokens of a step, and peak memory of all processes. A run that is noted there is not repeated.
`plan_error.py FOLDER` prints the lines. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from funreason_train.cluster.plan import plan_and_measured
from funreason_train.run.paths import RunDir

#: Name -> sizes.
MODELS = {
    "wide": ["model.hidden_size=384", "model.intermediate_size=1152", "model.layers=6", "model.heads=12"],
    "deep": ["model.hidden_size=320", "model.intermediate_size=960", "model.layers=12", "model.heads=10"],
}
_SFT = ["logging_steps=1", "save_steps=null", "cluster.sft.workers=1"]
_ROWS = [*_SFT, "tree=false"]
# An untrained model gives no group a signal: with the filter a step would draw six batches, one is planned.
_RL = ["rl.steps=5", "save_every=5", "max_response_tokens=48", "rl.algorithm.filter_groups=false"]
#: Name -> command, model, further words.
RUNS: dict[str, tuple[str, str, list[str]]] = {
    "sft, wide": ("sft", "wide", [*_ROWS, "max_steps=8", "per_device_batch=16", "global_batch=16"]),
    "rl, wide": ("rl", "wide", [*_RL, "prompts_per_step=8", "samples_per_prompt=6"]),
    "sft, deep, accumulated twice": (
        "sft",
        "deep",
        [*_ROWS, "max_steps=7", "per_device_batch=8", "global_batch=16"],
    ),
    "sft, wide, trees": ("sft", "wide", [*_SFT, "max_steps=8", "per_device_batch=8", "global_batch=8"]),
    "sft, deep, recomputed": (
        "sft",
        "deep",
        [*_ROWS, "max_steps=5", "per_device_batch=16", "global_batch=16", "gradient_checkpointing=true"],
    ),
    "rl, deep": ("rl", "deep", [*_RL, "prompts_per_step=8", "samples_per_prompt=4"]),
}


def words_of(name: str, folder: Path) -> list[str]:
    """The command of a run, without the program's name."""
    command, model, more = RUNS[name]
    data = folder / model / "data"
    place = [
        f"model={folder / model / 'base'}",
        f"run_dir={folder / name.replace(', ', '-').replace(' ', '_')}",
        "doctor=off",
    ]
    if command == "sft":
        place.append(f"sft.data={data / 'sft'}")
    else:
        place += [
            f"rl.model={folder / model / 'base'}",
            f"rl.train_file={data / 'rl/train.parquet'}",
            f"rl.val_file={data / 'rl/val.parquet'}",
        ]
    return [command, "+recipe=quickstart_cpu", *place, *more]


def main(arguments: Sequence[str]) -> None:
    """Runs what has not been noted yet."""
    folder = Path(arguments[0]).resolve()
    notes = folder / "held_out.jsonl"
    known = (
        {json.loads(line)["name"] for line in notes.read_text().splitlines()} if notes.is_file() else set()
    )
    rows = folder / "rows" / "synth" / "conversations.jsonl"
    if not rows.is_file():
        _run(["synth", "+recipe=quickstart_cpu", "synth.trajectories=400", f"run_dir={folder / 'rows'}"])
    for name in arguments[1:] or RUNS:
        command, model, _ = RUNS[name]
        if not (folder / model / "base").is_dir():  # made by the stage data
            made = [f"data.synth.path={rows}", f"run_dir={folder / model}", *MODELS[model]]
            _run(["data", "+recipe=quickstart_cpu", *made])
        if name in known:
            continue
        words = words_of(name, folder)
        _run(words)
        run = RunDir.at(next(Path(word[8:]) for word in words if word.startswith("run_dir=")))
        with notes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_compared(name, command, run)) + "\n")


def _run(words: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "funreason_train", *words], check=True)


def _compared(name: str, stage: str, run: RunDir) -> dict[str, Any]:
    lines = [line for line in plan_and_measured(run) if line.stage == stage]
    figures = {
        line.what: [line.unit, line.planned, line.measured]
        for line in lines
        if line.planned is not None and line.measured is not None and line.what != "time of all steps"
    }
    return {"name": name, "figures": figures}


if __name__ == "__main__":
    main(sys.argv[1:])
