"""What the SFT stage costs besides training, against LLaMA-Factory's own command on the same rows and model.

python benchmarks/sft/stage_cost.py [--run runs/quickstart_cpu] [--steps 150] [--repeats 2] [--folder DIR]

Both train the model of a finished quickstart on its rows, one by one and padded, with one worker and the
same batch, precision and number of steps, and save the model. `loop` is transformers' own `train_runtime`,
`around` what the command takes besides: imports, tokenising, and, in the stage alone, Ray, the gate, the
manifest and the check of what was saved. The two take turns, so that a change of the machine's speed meets
both. Each run has a cache of `datasets` of its own: in a common one, plain training would find the rows that
an earlier run tokenised.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Settings of ours that plain training does not know, or that name what it has to make itself.
_OURS = ("tokenized_path", "include_num_input_tokens_seen", "report_to")
_ROWS = ["sft.tree=false", "sft.per_device_batch=8", "sft.global_batch=8", "cluster.sft.workers=1"]


def timed(command: list[str], **more: str) -> float:
    """Seconds of a command that must succeed."""
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return time.monotonic() - began


def loop_of(folder: Path) -> float:
    """Seconds of the training loop alone."""
    return float(json.loads((folder / "train_results.json").read_text(encoding="utf-8"))["train_runtime"])


def ours(run: Path, steps: int, folder: Path) -> tuple[float, float]:
    """Seconds of the whole stage and of its loop."""
    words = ["sft", "+recipe=quickstart_cpu", f"run_dir={folder}", f"model={run / 'base'}"]
    words += [f"sft.data={run / 'data' / 'sft'}", f"sft.max_steps={steps}", *_ROWS]
    cache = str(folder / "datasets")
    whole = timed([sys.executable, "-m", "funreason_train", *words], HF_DATASETS_CACHE=cache)
    return whole, loop_of(folder / "sft" / "checkpoints")


def plain(arguments: dict[str, object], folder: Path) -> tuple[float, float]:
    """The same of LLaMA-Factory's own command, with the stage's arguments."""
    folder.mkdir(parents=True)
    out = folder / "out"
    kept = {name: value for name, value in arguments.items() if name not in _OURS}
    file = folder / "train.yaml"  # LLaMA-Factory cannot read its own arguments as JSON, which is YAML too
    file.write_text(json.dumps({**kept, "output_dir": str(out), "report_to": "none"}), encoding="utf-8")
    program = Path(sys.executable).parent / "llamafactory-cli"
    more = {"DISABLE_VERSION_CHECK": "1", "HF_DATASETS_CACHE": str(folder / "datasets")}
    return timed([str(program), "train", str(file)], **more), loop_of(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart_cpu"), help="a finished quickstart")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to train; a temporary folder that is removed")
    asked = parser.parse_args()
    run = asked.run.resolve()
    if not (run / "data" / "sft").is_dir():
        raise SystemExit(
            f"{run} holds no data/sft: run `bash launch/quickstart.sh` first, or name its folder"
        )
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="stage-cost-"))
    measured: dict[str, list[tuple[float, float]]] = {"stage": [], "plain": []}
    for turn in range(asked.repeats):
        stage = folder / f"stage-{turn}"
        measured["stage"].append(ours(run, asked.steps, stage))
        arguments = json.loads((stage / "sft" / "llamafactory.json").read_text(encoding="utf-8"))
        measured["plain"].append(plain(arguments, folder / f"plain-{turn}"))
    if asked.folder is None:
        shutil.rmtree(folder)
    print("| command | whole, s | loop, s | around, s |\n|---|---:|---:|---:|")
    around = {}
    for name, pairs in measured.items():
        whole, loop = (statistics.mean(values) for values in zip(*pairs, strict=True))
        around[name] = whole - loop
        print(f"| {name} | {whole:.1f} | {loop:.1f} | {around[name]:.1f} |")
    print(
        f"\nThe stage takes {around['stage'] - around['plain']:+.1f} s around its loop, {asked.steps} steps."
    )


if __name__ == "__main__":
    main()
