"""The data stage at full size: seconds, memory, growth, and the same work as a plain `datasets.map` pipeline.

    python benchmarks/data/data_speed.py [--queries N --trajectories N] [--naive-share 1] [--tokenizer FOLDER]

Runs one after the other on generated input (benchmarks/data/data_input.py), each as a command of its own:

- the stage with its defaults but without token counting, at half and at full size; overlap with BFCL is
  looked for if bfcl-eval is installed;
- the plain pipeline (benchmarks/data/naive_data.py), which does the same, on `--naive-share` of the rows: 1
  or 0.5;
- with `--tokenizer`, the stage with token counting, nothing remembered from an earlier run.

It prints wall seconds, CPU seconds of the process tree and its peak memory (proportional set size, sampled).
Goals on 2 cores: 60 s and 2 GB, 3 times the plain pipeline's speed, twice the rows in at most 2.2 times the
time, at most 120 s more for counting. Where other jobs run on the machine, CPU seconds compare better.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from data_input import write

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ("data.tokenizer=off", "data.parity=off")


@dataclass
class Cost:
    """What a command took.

    Attributes:
        wall: Seconds.
        cpu: User and system seconds of the whole process tree.
        memory: Peak of the tree in bytes.
    """

    wall: float
    cpu: float
    memory: int

    def __str__(self) -> str:
        return f"{self.wall:7.1f} s, {self.cpu:7.1f} CPU-s, {self.memory / 1e9:5.2f} GB"


def measure(command: list[str]) -> Cost:
    """Runs a command to its end.

    Raises:
        SystemExit: it failed.
    """

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before, start = cpu(), time.monotonic()
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _tree_memory(process.pid))
        time.sleep(0.5)
    if process.returncode != 0:
        raise SystemExit(f"failed with code {process.returncode}: {' '.join(command)}")
    return Cost(time.monotonic() - start, cpu() - before, peak)


def _tree_memory(pid: int) -> int:
    """Memory of a process and its descendants; what they share counts once."""
    total = 0
    try:
        me = psutil.Process(pid)
        tree = [me, *me.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in tree:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def stage(files: tuple[Path, Path], folder: Path, *words: str) -> Cost:
    """The data stage on two files, into a fresh run directory."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    sources = [
        "data.datasets=[apigen,funreason_mt]",
        f"data.apigen.path={files[0]}",
        f"data.funreason_mt.path={files[1]}",
    ]
    command = [sys.executable, "-m", "funreason_train", "data", f"run_dir={run}", *sources, *words]
    cost = measure(command)
    shutil.rmtree(run)
    return cost


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--queries", type=int, default=60_000)
    parser.add_argument("--trajectories", type=int, default=17_000)
    parser.add_argument("--naive-share", type=float, choices=(0.5, 1.0), default=1.0)
    parser.add_argument("--tokenizer", help="a HF tokenizer folder, to time token counting with")
    parser.add_argument("--folder", type=Path, help="for input and output; default: a temporary folder")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="data_speed_"))
    sizes = {share: (int(chosen.queries * share), int(chosen.trajectories * share)) for share in (0.5, 1.0)}
    files = {share: write(folder / "input", *size) for share, size in sizes.items()}
    processes = f"data.processes={chosen.processes}"
    print(f"{chosen.processes} processes, load {os.getloadavg()[0]:.1f} before the first run", flush=True)

    def show(name: str, cost: Cost) -> Cost:
        print(f"{name:<34} {cost}", flush=True)
        return cost

    costs = {}
    for share, size in sizes.items():
        name = f"stage, {size[0]} + {size[1]} rows"
        costs[share] = show(name, stage(files[share], folder, processes, *LIGHT))
    share = chosen.naive_share
    out = folder / "naive"
    plain = Path(__file__).with_name("naive_data.py")
    command = [sys.executable, str(plain), *map(str, files[share]), str(out)]
    out.mkdir(parents=True, exist_ok=True)
    naive = show(
        f"datasets.map, {sizes[share][0]} + {sizes[share][1]} rows",
        measure([*command, str(chosen.processes)]),
    )
    shutil.rmtree(out)
    if chosen.tokenizer:
        counting = (f"data.tokenizer={chosen.tokenizer}", "data.parity=off", "data.length_cache=off")
        limits = ("data.max_prompt_tokens=null", "data.max_target_tokens=null")
        cost = show("stage, tokens counted", stage(files[1.0], folder, processes, *counting, *limits))
        print(
            f"counting tokens: {cost.wall - costs[1.0].wall:+.1f} s, {cost.cpu - costs[1.0].cpu:+.1f} CPU-s"
        )
    ours, half = costs[share], costs[0.5]
    print(
        f"against datasets.map: {naive.wall / ours.wall:.2f} times as fast"
        f" ({naive.cpu / ours.cpu:.2f} times by CPU seconds)"
    )
    print(
        f"twice the rows: {costs[1.0].wall / half.wall:.2f} times the time"
        f" ({costs[1.0].cpu / half.cpu:.2f} times the CPU seconds)"
    )
    if not chosen.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
