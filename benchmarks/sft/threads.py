"""How long OpenMP's threads should spin at a barrier before they sleep, on this machine.

python benchmarks/sft/threads.py [--spins 0 1000 10000 100000] [--steps 150]

Steps of small layers (160 wide, 8 rows of 140 tokens, forward and backward) with two threads a process, once
alone and once in two processes together, for each number of turns of the spin and as the runtime chooses by
itself. Training sets it for every process (`cluster.environment.QUIET_THREADS`): alone, those that sleep at
once lose; together, those that go on spinning do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

_STEPS = """
import sys, time, torch
torch.manual_seed(0)
def block():
    return torch.nn.Linear(160, 448), torch.nn.SiLU(), torch.nn.Linear(448, 160), torch.nn.LayerNorm(160)
model = torch.nn.Sequential(*(layer for _ in range(6) for layer in block()))
rows, steps = torch.randn(8, 140, 160), int(sys.argv[1])
for number in range(steps + 10):
    if number == 10:
        began = time.perf_counter()
    model(rows).pow(2).mean().backward()
print((time.perf_counter() - began) / steps * 1000)
"""


def milliseconds(processes: int, spin: int | None, steps: int) -> float:
    """A step, the mean of so many processes that run together."""
    own = {"OMP_NUM_THREADS": "2"}
    if spin is not None:
        own |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(spin)}
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    words = [sys.executable, "-c", _STEPS, str(steps)]
    running = [
        subprocess.Popen(words, env=outside | own, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    said = [one.communicate()[0] for one in running]
    if any(one.returncode for one in running):
        raise SystemExit("a process failed (its message is above)")
    return sum(map(float, said)) / processes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spins", type=int, nargs="+", default=[0, 1000, 10_000, 100_000])
    parser.add_argument("--steps", type=int, default=150)
    asked = parser.parse_args()
    print("| turns | one process, ms a step | two together |\n|---:|---:|---:|")
    for spin in (*asked.spins, None):
        alone, together = (milliseconds(processes, spin, asked.steps) for processes in (1, 2))
        name = "the runtime's own" if spin is None else f"{spin:,}"
        print(f"| {name} | {alone:.1f} | {together:.1f} |", flush=True)


if __name__ == "__main__":
    main()
