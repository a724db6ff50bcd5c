"""Waits until every rank has joined the Ray cluster of RAY_ADDRESS, or names the missing ones.

    RAY_ADDRESS=10.0.0.1:6388 python launch/wait_for_nodes.py --nodes 4 --seconds 900 --hosts n1 n2 n3 n4

A node is known by its name "RANK@HOST", which launch/lib_ray.sh gives to `ray start`. Exit code 0 when
all are there, 2 when one is missing at the deadline, two claim one rank or one claims a rank that is none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence


def joined(nodes: Iterable[Mapping[str, object]]) -> dict[int, list[str]]:
    """The hosts that claim each rank, from the rows of `ray.nodes()`; dead and unrelated nodes left out."""
    ranks: dict[int, list[str]] = defaultdict(list)
    for node in nodes:
        rank, at, host = str(node.get("NodeName", "")).partition("@")
        if node.get("Alive") and at and rank.isdigit():
            ranks[int(rank)].append(host)
    return dict(ranks)


def clash(ranks: Mapping[int, Sequence[str]]) -> str | None:
    """One sentence about ranks that several machines claim, None when there is none."""
    twice = [
        f"rank {rank} ({', '.join(sorted(hosts))})" for rank, hosts in sorted(ranks.items()) if len(hosts) > 1
    ]
    return f"several machines claim {' and '.join(twice)}: give each its own NODE_RANK." if twice else None


def beyond(ranks: Mapping[int, Sequence[str]], count: int) -> str | None:
    """One sentence about ranks that `count` nodes do not have, None when there is none."""
    over = [f"rank {rank} ({', '.join(hosts)})" for rank, hosts in sorted(ranks.items()) if rank >= count]
    if not over:
        return None
    return f"{' and '.join(over)} joined, but rank 0 waits for {count} nodes: give all the same NNODES."


def missing(ranks: Mapping[int, Sequence[str]], count: int, hosts: Sequence[str] = ()) -> list[str]:
    """The ranks below `count` that nobody claims, each with its host where those are known in rank order."""
    absent = (rank for rank in range(count) if rank not in ranks)
    return [f"rank {rank} ({hosts[rank]})" if rank < len(hosts) else f"rank {rank}" for rank in absent]


def connect(address: str, deadline: float) -> str | None:
    """Joins the cluster; its head may answer on its port before it can be joined.

    Returns:
        Why not, in Ray's words, if the deadline has passed; None once it is joined.
    """
    import ray

    while True:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            return None
        except (ConnectionError, RuntimeError, TimeoutError) as error:
            if time.monotonic() > deadline:
                return " ".join(str(error).split())[:200]
        time.sleep(1.0)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument(
        "--hosts", nargs="*", default=[], help="host names in rank order, where they are known"
    )
    arguments = parser.parse_args(argv)

    import ray

    deadline = time.monotonic() + arguments.seconds
    address = os.environ["RAY_ADDRESS"]
    if why := connect(address, deadline):
        seconds = f"{arguments.seconds:.0f} s"
        print(f"Error: Ray's head at {address} could not be joined within {seconds} ({why})", file=sys.stderr)
        return 2
    reported: list[str] = []
    while True:
        ranks = joined(ray.nodes())
        problem = clash(ranks) or beyond(ranks, arguments.nodes)
        absent = missing(ranks, arguments.nodes, arguments.hosts)
        if problem is None and not absent:
            print(f"launch: all {arguments.nodes} nodes have joined", file=sys.stderr)
            return 0
        if problem is None and time.monotonic() > deadline:
            problem = (
                f"{len(absent)} of {arguments.nodes} nodes did not join within {arguments.seconds:.0f} s: "
                f"{', '.join(absent)}; was the script started there, with the same HEAD_ADDR and "
                "FUNREASON_RAY_PORT (under SLURM by srun)?"
            )
        if problem is not None:
            print(f"Error: {problem}", file=sys.stderr)
            return 2
        if absent != reported:
            print(f"launch: waiting for {', '.join(absent)}", file=sys.stderr)
            reported = absent
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
