"""How much of what a concurrency limit allows the OpenAI agents reach, with a server that takes its time.

python benchmarks/synth/latency.py --latency 0.2 --concurrency 16 --trajectories 200

A server in a process of its own answers every request after `--latency` seconds. Its answers are those of
the offline agents, which the requests carry along (`tests/synth/oracle.py`), so prompts, HTTP, retries,
budget, reading and validation are those of a run.
`concurrency / latency` requests a second are the most there can be.
The first and the last tenth of the time, in which the work begins and ends, do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from synth.oracle import Oracle, answer_of

from funreason_train.settings.compose import compose
from funreason_train.synth.agents.account import Usage
from funreason_train.synth.agents.make import model_agents, models_of
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.threads import in_threads

_EDGE = 0.1  # of the time, at each end, that is not counted


def serve(latency: float, told: Connection) -> None:
    """Answers until the process is ended; tells its port, and when each answer left where it is asked."""
    left: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").lower().split("\r\n")
                length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
                said = answer_of(json.loads(await reader.readexactly(length)))
                await asyncio.sleep(latency)
                value = {
                    "choices": [{"message": {"role": "assistant", "content": said}}],
                    "usage": {"prompt_tokens": length // 4, "completion_tokens": len(said) // 4},
                }
                body = json.dumps(value).encode()
                kind = "HTTP/1.1 200 OK\r\nContent-Type: application/json"
                writer.write(f"{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                left.append(time.monotonic())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def work() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**24, backlog=512)
        told.send(server.sockets[0].getsockname()[1])
        while not await asyncio.to_thread(told.poll, 0.5):
            pass
        told.send(left)

    asyncio.run(work())


def main() -> None:
    """Prints the share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--trajectories", type=int, default=200)
    arguments = parser.parse_args()
    words = [
        *("environments=[shop,travel,helpdesk]", f"trajectories={arguments.trajectories}", "model=any"),
        *("heldout_tasks=0", "tuning_tasks=0", "graph.measure=0", "agents=openai", "key_variable=null"),
        f"limits.concurrency={arguments.concurrency}",
    ]
    settings = cast(dict[str, Any], OmegaConf.to_container(compose("synth", words).synth, resolve=True))
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(arguments.latency, there), daemon=True
    )
    server.start()
    address = f"http://127.0.0.1:{here.recv()}/v1"
    made = model_agents(settings, address, models_of(settings), Usage())
    agents = Oracle(made.endpoint, models_of(settings), errors={"wrong_value": 0.1})
    with tempfile.TemporaryDirectory() as folder, agents.endpoint:
        spread = partial(in_threads, agents=agents, most=arguments.concurrency * 3 // 2 + 1)
        phases = Phases(settings, 0, Path(folder), spread, agents.endpoint.account)
        began = time.perf_counter()
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        funnel = phases.run()["funnel"]
        seconds = time.perf_counter() - began
        cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before
    here.send("end")
    left = here.recv()
    server.join(10)
    span = left[-1] - left[0]
    first, last = left[0] + _EDGE * span, left[-1] - _EDGE * span
    counted = sum(first <= one < last for one in left)
    rate, most = counted / (last - first), arguments.concurrency / arguments.latency
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{funnel['accepted']} conversations of {funnel['samples']} samples, {len(left)} requests")
    print(f"{seconds:.1f} s, of which {span:.1f} s asking; {1000 * cpu / len(left):.1f} ms of CPU a request")
    print(f"{rate:.1f} requests a second of {most:.1f} that the limit allows: {rate / most:.1%}")


if __name__ == "__main__":
    main()
