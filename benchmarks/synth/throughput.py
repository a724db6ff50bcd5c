"""How many accepted three-turn conversations a second offline agents make, and whether all of them replay.

python benchmarks/synth/throughput.py --trajectories 10000 --processes 2

Learning the graphs is timed apart, since it happens once for a run of any size. The replay here is another
one than the run's own: every written row is read back and executed in a fresh environment. `--profile` says
where the time of one process goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from funreason_train.environments import Task, make_environment
from funreason_train.settings.compose import compose
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.workers import Processes, in_processes

OURS = "[bank,calendar,clinic,helpdesk,home,music,rental,shop,travel]"


def replayed(folder: Path) -> tuple[int, int]:
    """Rows that replay to the same results, and all rows."""
    right = rows = 0
    with (folder / "conversations.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            task = Task.from_json(row["synth"]["task"])
            environment = make_environment(task.environment)
            environment.reset(task.config)
            told = [message["content"] for message in row["conversations"] if message["role"] == "tool"]
            untrained = set(row["synth"].get("untrained", ()))
            if not untrained:  # a call that is meant to fail stands in the conversation alone
                calls = [call for turn in task.turns for step in turn.steps for call in step]
                right += [environment.call(call).text for call in calls] == told
            else:
                calls = [call for turn in task.turns for step in turn.steps for call in step]
                answers = [environment.call(call).text for call in calls]
                right += all(answer in told for answer in answers)
            rows += 1
    return right, rows


def main() -> None:
    """Runs it and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--environments", default=OURS)
    parser.add_argument(
        "--profile", action="store_true", help="one process, with its most expensive functions"
    )
    arguments, more = parser.parse_known_args()
    processes = 1 if arguments.profile else arguments.processes
    words = [
        *(f"environments={arguments.environments}", f"trajectories={arguments.trajectories}"),
        *("heldout_tasks=0", "tuning_tasks=0", "graph.measure=0", *more),
    ]
    settings = cast(dict[str, Any], OmegaConf.to_container(compose("synth", words).synth, resolve=True))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        began = time.perf_counter()
        few = Phases({**settings, "trajectories": 1}, 0, out, partial(in_processes, processes=1))
        few.run()
        learnt = time.perf_counter() - began
        workers = Processes(processes)
        phases = Phases(settings, 0, out, workers)
        profile = cProfile.Profile()
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        began = time.perf_counter()
        if arguments.profile:
            profile.enable()
        with workers:
            made = phases.run()
        profile.disable()
        seconds = time.perf_counter() - began
        right, rows = replayed(out)
    funnel = made["funnel"]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used) - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children) / 1024
    print(
        f"{os.cpu_count()} cores, {platform.machine()}; {processes} processes; load {os.getloadavg()[0]:.1f}"
    )
    print(f"graphs learnt in {learnt:.1f} s")
    print(f"{rows} conversations in {seconds:.1f} s: {rows / seconds:.1f} a second")
    print(f"{rows / cpu:.1f} for each second of processor time, replaying and starting processes included")
    print(f"accepted {funnel['accepted']} of {funnel['samples']} samples, {funnel['draws']} draws")
    print(f"replayed {right} of {rows}; largest process {peak:.0f} MiB")
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
