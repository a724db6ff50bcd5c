"""Whether every accepted conversation replays, in processes that had no part in making it.

python benchmarks/synth/replay.py --trajectories 10000

Makes conversations in all of this project's environments and in BFCL's eight classes, then starts fresh
processes that read the written rows back, execute every call in a new environment, and compare each answer
with the row's and the final state with that of the row's executable task. A row that differs is printed, and
the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from funreason_train.data.read.formats import funreason_mt
from funreason_train.environments import Task, make_environment, play_gold
from funreason_train.environments.bfcl.documents import CLASSES
from funreason_train.environments.registry import ENVIRONMENTS
from funreason_train.settings.compose import compose
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.workers import in_processes

_AT_ONCE = 250  # rows that a process replays before it ends


def differences(text: str) -> list[str]:
    """How a row's replay differs from the row; empty if it does not."""
    row = json.loads(text)
    options = {"error_tool_response": "keep", "tools_missing": "reject"}
    trajectory = funreason_mt.convert(row, options)
    task = Task.from_json(row["synth"]["task"])
    environment = make_environment(task.environment)
    found = []
    try:
        environment.reset(task.config)
        for turn in trajectory.turns:
            for step in turn.steps:
                answers = [environment.call(call).text for call in step.calls]
                if answers != list(step.results):
                    found.append(f"{row['id']}: {answers} instead of {step.results}")
        found += [f"{row['id']}: {one}" for one in environment.compare(play_gold(task)[-1].state)]
    finally:
        environment.close()
    return found


def check(texts: list[str]) -> tuple[int, list[str]]:
    """How many rows there were, and what differs."""
    return len(texts), [one for text in texts for one in differences(text)]


def _parts(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        while part := list(islice(file, _AT_ONCE)):
            yield part


def main() -> int:
    """Makes, replays and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    names = ",".join([*sorted(ENVIRONMENTS), *(f"bfcl/{name}" for name in CLASSES)])
    parser.add_argument("--environments", default=f"[{names}]")
    arguments, more = parser.parse_known_args()
    words = [
        *(f"environments={arguments.environments}", f"trajectories={arguments.trajectories}"),
        *("heldout_tasks=0", "tuning_tasks=0", "graph.measure=0", *more),
    ]
    settings = cast(dict[str, Any], OmegaConf.to_container(compose("synth", words).synth, resolve=True))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        phases = Phases(settings, 0, Path(folder), partial(in_processes, processes=arguments.processes))
        funnel = phases.run()["funnel"]
        made = time.perf_counter() - began
        context = multiprocessing.get_context("spawn")
        rows, wrong = 0, []
        began = time.perf_counter()
        with context.Pool(arguments.processes, maxtasksperchild=1) as pool:
            for count, found in pool.imap(check, _parts(Path(folder) / "conversations.jsonl")):
                rows += count
                wrong += found
        replayed = time.perf_counter() - began
    print("\n".join(wrong[:20]))
    lost = sum(funnel["lost"]["replay"].values())
    print(f"{funnel['accepted']} accepted of {funnel['samples']} samples in {made:.0f} s")
    print(f"{lost} draws were rejected because they did not replay")
    different = len({one.partition(":")[0] for one in wrong})
    print(f"{rows - different} of {rows} rows replay in fresh processes, in {replayed:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
