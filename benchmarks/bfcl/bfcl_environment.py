"""What it costs to play BFCL's environments in processes of their own.

    python benchmarks/bfcl/bfcl_environment.py

Prints, measured side by side in one run: a call through an episode's process beside the same call on an
object in this process (which isolates nothing), a new episode beside a new object, the memory of a waiting
episode, and a call of an episode whose process had to make room and is made again from its calls.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

from funreason_train.calls import Call
from funreason_train.environments import make_environment
from funreason_train.environments.bfcl.environment import environment_kind
from funreason_train.environments.bfcl.execute import Executable, execute, make_instance, public_methods
from funreason_train.environments.bfcl.sessions import make_sessions

CONFIG = {
    "GorillaFileSystem": {
        "root": {"desk": {"type": "directory", "contents": {"a.txt": {"type": "file", "content": "one"}}}}
    }
}
ROUNDS, REPEATS, EPISODES, CALLS = 5, 1000, 100, 10


def fastest(work: Callable[[], object], times: int) -> float:
    """Seconds of one piece of work: the best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - started) / times)
    return best


def main() -> None:
    """Measures and prints."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    import psutil

    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    environment = make_environment("bfcl/GorillaFileSystem")
    environment.reset(CONFIG)
    made = make_instance("GorillaFileSystem", CONFIG["GorillaFileSystem"])
    methods = public_methods(made)
    started = time.perf_counter()
    environment.call(Call("pwd", {}))
    print(f"first call of a process, which starts the host: {time.perf_counter() - started:.2f} s")
    there = fastest(lambda: environment.call(Call("cat", {"file_name": "a.txt"})), REPEATS)
    here = fastest(lambda: execute(lambda: Executable("cat", (), {"file_name": "a.txt"}), methods), REPEATS)
    print(f"a call: {there * 1e6:.0f} µs; here: {here * 1e6:.0f} µs; ratio {there / here:.1f}")

    def episode() -> None:
        one = make_environment("bfcl/GorillaFileSystem")
        one.reset(CONFIG)
        one.call(Call("pwd", {}))

    def instance() -> None:
        public_methods(make_instance("GorillaFileSystem", CONFIG["GorillaFileSystem"]))["pwd"]()

    fresh, plain = fastest(episode, EPISODES), fastest(instance, EPISODES)
    ratio = f"ratio {fresh / plain:.0f}"
    print(f"an episode's first call: {fresh * 1e3:.2f} ms; here: {plain * 1e3:.2f} ms; {ratio}")

    sessions = make_sessions(waiting=EPISODES)
    kind = type("Kept", (environment_kind("bfcl/GorillaFileSystem"),), {"sessions": sessions})
    many = [kind() for _ in range(EPISODES)]
    for one in many:
        one.reset(CONFIG)
        for number in range(CALLS):
            one.call(Call("touch", {"file_name": str(number)}))
    children = psutil.Process(sessions.host).children()
    own = sum(child.memory_full_info().uss for child in children) / len(children)
    print(f"a waiting episode: {own / 2**20:.1f} MiB of its own")
    turns = iter(many * ROUNDS)
    kept = fastest(lambda: next(turns).call(Call("pwd", {})), EPISODES)
    sessions.replace(make_sessions(waiting=1))
    turns = iter(many * ROUNDS)
    again = fastest(lambda: next(turns).call(Call("pwd", {})), EPISODES)
    print(
        f"a call of an episode that waited: {kept * 1e6:.0f} µs; of one made again from {CALLS} calls: "
        f"{again * 1e3:.2f} ms; ratio {again / kept:.0f}"
    )


if __name__ == "__main__":
    main()
