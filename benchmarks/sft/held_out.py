"""What playing tasks while SFT trains costs: the same training without it, beside it, and with pauses.

python benchmarks/sft/held_out.py [--steps 400] [--every 200] [--tasks 100] [--folder DIR]

The quickstart's rows and model on this machine's CPU, three trainings that differ in `sft.evaluate` alone,
one after another. `loop` is the time from the first logged step to the last one, `stage` that of the whole
command, with what is still to be played at its end. On a CPU training and playing share the cores, so nothing
is free; the last line tells from which interval on playing takes at most a tenth of the training. On GPUs of
its own, beside costs the hand-over alone, which is links to files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_RECIPE = "+recipe=quickstart_cpu"
MODES = {"without": (), "beside": ("evaluate.pause=false",), "pause": ("evaluate.pause=true",)}


def command(*words: str) -> float:
    """Runs a command of the project; returns its seconds."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "funreason_train", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - began


def lines(file: Path) -> list[dict[str, float]]:
    """The values of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Prints a table and the interval at which playing costs a tenth."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2000, help="conversations to train on")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        made = folder / "made"
        if not (made / "manifest.json").is_file():
            words: tuple[str, ...] = (
                _RECIPE,
                f"run_dir={made}",
                f"synth.trajectories={options.rows}",
                "synth.heldout_tasks=10",
            )
            command("synth", *words)
            command("data", *words)
        print(f"{'':8} {'loop s':>8} {'stage s':>8} {'a step s':>9} {'loop':>6} {'stage':>6}  playing s")
        base: tuple[float, float] | None = None
        for mode, more in MODES.items():
            run = folder / mode
            words = (
                *(_RECIPE, f"run_dir={run}", f"sft.data={made / 'data' / 'sft'}", f"model={made / 'base'}"),
                *(f"max_steps={options.steps}", f"save_steps={options.every}"),
            )
            if more:
                tasks = made / "synth" / "tasks" / "tuning.jsonl"
                words += (f"evaluate.every={options.every}", f"evaluate.limit={options.tasks}")
                words += (f"evaluate.tasks={tasks}", *more)
            stage = command("sft", *words)
            metrics = lines(run / "sft" / "metrics.jsonl")
            loop = metrics[-1]["seconds"] - metrics[0]["seconds"]
            base = base or (loop, stage)
            played = lines(run / "sft" / "held_out.jsonl") if more else []
            seconds = [line["seconds"] for line in played]
            shown = ", ".join(f"{line.get('accuracy', -1):.0%} in {line['seconds']:.0f}" for line in played)
            print(
                f"{mode:8} {loop:8.1f} {stage:8.1f} {loop / options.steps:9.3f} {loop / base[0]:5.2f}x "
                f"{stage / base[1]:5.2f}x  {shown}",
                flush=True,
            )
        assert base is not None
        a_step, tenth = base[0] / options.steps, 0.1
        each = sum(seconds) / len(seconds)
        print(
            f"one evaluation takes {each:.0f} s, a step {a_step:.2f} s: a tenth from "
            f"every={each / a_step / tenth:.0f} on; with steps of 10 s from every={each / 10 / tenth:.0f} on"
        )


if __name__ == "__main__":
    main()
