"""Runs small trainings with the real frameworks on this machine and notes what they took.

    python benchmarks/plan/cpu_runs.py FOLDER [NAME …]

One line a run goes to FOLDER/measured.jsonl: seconds of a step (the median after the first two), tokens of a
step, and the peak memory of all processes. A run that is noted there is not repeated. `plan_error.py` holds
the lines against the plan.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

#: Name -> sizes.
MODELS = {
    "small": ["model.hidden_size=160", "model.intermediate_size=448", "model.layers=3", "model.heads=5"],
    "wide": ["model.hidden_size=384", "model.intermediate_size=1152", "model.layers=6", "model.heads=12"],
    "deep": ["model.hidden_size=320", "model.intermediate_size=960", "model.layers=12", "model.heads=10"],
}
_SFT = ["sft.max_steps=24", "logging_steps=1", "save_steps=null"]
_RL = ["rl.steps=5", "save_every=5", "max_response_tokens=64", "trust_rollout_log_probs=true"]
#: Name -> command, model, further words.
RUNS: dict[str, tuple[str, str, list[str]]] = {
    "sft-small": ("sft", "small", [*_SFT, "per_device_batch=16", "global_batch=16"]),
    "sft-wide": ("sft", "wide", [*_SFT, "per_device_batch=16", "global_batch=16"]),
    "sft-deep": ("sft", "deep", [*_SFT, "per_device_batch=16", "global_batch=32"]),
    "sft-wide-64": ("sft", "wide", [*_SFT, "per_device_batch=64", "global_batch=64"]),
    "sft-deep-recomputed": (
        "sft",
        "deep",
        [*_SFT, "per_device_batch=64", "global_batch=64", "gradient_checkpointing=true"],
    ),
    "rl-small": ("rl", "small", [*_RL, "prompts_per_step=24", "samples_per_prompt=8"]),
    "rl-wide": ("rl", "wide", [*_RL, "prompts_per_step=12", "samples_per_prompt=8"]),
    "rl-deep": ("rl", "deep", [*_RL, "prompts_per_step=12", "samples_per_prompt=4"]),
}


def words_of(name: str, folder: Path) -> list[str]:
    """The command of a run, without the program's name."""
    command, model, more = RUNS[name]
    data = folder / "data"
    place = [f"model={folder / model / 'base'}", f"run_dir={folder / name}", "doctor=off"]
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
    notes = folder / "measured.jsonl"
    known = (
        {json.loads(line)["name"] for line in notes.read_text().splitlines()} if notes.is_file() else set()
    )
    for model, sizes in MODELS.items():  # each model is made by the stage data
        if not (folder / model / "base").is_dir():
            made = ["synth.trajectories=1200", f"run_dir={folder / model}", *sizes]
            _run(["synth", "+recipe=quickstart_cpu", *made])
            out = [f"data.out={folder / 'data'}"] if model == "small" else []
            _run(["data", "+recipe=quickstart_cpu", *made, *out])
    for name in arguments[1:] or RUNS:
        if name not in known:
            _run(words_of(name, folder))
            with notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_measured(name, folder)) + "\n")


def _run(words: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "funreason_train", *words], check=True)


def _measured(name: str, folder: Path) -> dict[str, Any]:
    stage, run = RUNS[name][0], folder / name
    lines = [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
    record = json.loads((run / "manifest.json").read_text())["stages"][stage]
    (ledger,) = json.loads((folder / "data" / "ledger.json").read_text()).values()
    prompt, target = ledger["tokens"]["prompt"], ledger["tokens"]["target"]
    if stage == "sft":
        seconds = [later["seconds"] - earlier["seconds"] for earlier, later in pairwise(lines)][1:]
        tokens = lines[-1]["tokens"] / lines[-1]["step"]
    else:
        lines = lines[2:]
        seconds = [line["perf/time_per_step"] for line in lines]
        tokens = median(line["perf/total_num_tokens"] for line in lines)
    sizes = dict(word.removeprefix("model.").split("=") for word in MODELS[RUNS[name][1]])
    told = dict(word.split("=") for word in RUNS[name][2])
    asked: dict[str, Any] = (
        {
            "per_device": int(told["per_device_batch"]),
            "accumulate": int(told["global_batch"]) // int(told["per_device_batch"]),
            "recompute": told.get("gradient_checkpointing") == "true",
        }
        if stage == "sft"
        else {
            "prompts": int(told["prompts_per_step"]),
            "samples": int(told["samples_per_prompt"]),
            "max_response": int(told["max_response_tokens"]),
            "engine": "vllm",
        }
    )
    return {
        "name": name,
        "stage": stage,
        "shape": [int(sizes[key]) for key in ("layers", "hidden_size", "intermediate_size", "heads")]
        + [32, 1280],
        **asked,
        "prompt": [prompt["mean"], prompt["max"]],
        "target": [target["mean"], target["max"]],
        "tokens_per_step": round(tokens, 1),
        "seconds_per_step": round(median(seconds), 3),
        "peak_gib": round(record["peak_bytes"] / 2**30, 3),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
