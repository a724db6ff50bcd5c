"""Directed against uniform sampling, on this project's environments and on BFCL's.

python benchmarks/synth/sampling.py --traces 400 --seed 1

Uniform sampling draws among the legal tools, and both draw arguments in the same way; the targets are all
tools that ever succeeded while the graph was learnt. A trace is given up after 60 calls, failures too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from random import Random
from typing import Any

from funreason_train.environments.bfcl.documents import CLASSES
from funreason_train.environments.registry import ENVIRONMENTS, environment_class
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.measure import measure

_GIVEN_UP = 60


def row(name: str, episodes: int, traces: int, seed: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """One environment's line of the table, and its figures."""
    kind = environment_class(name)

    def scenario(rng: Random) -> Mapping[str, Any]:
        return kind.scenario(rng, 4)

    environment = kind()
    began = time.perf_counter()
    graph = learn(environment, scenario, seed, episodes, 40)
    learnt = time.perf_counter() - began
    found = measure(environment, scenario, graph, seed, traces, _GIVEN_UP)
    environment.close()
    never = sum(not record.ok for record in graph.tools.values())
    directed, uniform = found["directed"], found["uniform"]
    cells = [
        *(name, str(len(graph.tools)), str(never), str(len(graph.edges())), f"{learnt:.1f} s"),
        *(f"{100 * directed['reached']:.1f} %", f"{100 * uniform['reached']:.1f} %"),
        *(f"{directed['calls']:.2f}", f"{uniform['calls']:.2f}"),
        f"{directed['calls'] / uniform['calls']:.2f}",
    ]
    return f"| {' | '.join(cells)} |", found


def main() -> None:
    """Prints one line an environment, and the means of both groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--traces", type=int, default=400, help="a policy and environment")
    parser.add_argument("--episodes", type=int, default=200, help="to learn a graph from")
    parser.add_argument("--seed", default="1", help="of graphs and traces; the sampler was written with 0")
    arguments = parser.parse_args()
    heads = "tools | never succeeded | edges | learnt in | directed reached | uniform reached"
    print(f"| environment | {heads} | directed calls | uniform calls | ratio |")
    print("|---|" + "---:|" * 9)
    for title, names in (("ours", sorted(ENVIRONMENTS)), ("BFCL's", [f"bfcl/{name}" for name in CLASSES])):
        figures = []
        for name in names:
            line, found = row(name, arguments.episodes, arguments.traces, arguments.seed)
            print(line, flush=True)
            figures.append(found)
        means = {
            policy: [sum(one[policy][key] for one in figures) / len(figures) for key in ("reached", "calls")]
            for policy in ("directed", "uniform")
        }
        (reached, calls), (reached_by_chance, calls_by_chance) = means["directed"], means["uniform"]
        print(
            f"| mean, {title} | | | | | {100 * reached:.1f} % | {100 * reached_by_chance:.1f} % "
            f"| {calls:.2f} | {calls_by_chance:.2f} | {calls / calls_by_chance:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
