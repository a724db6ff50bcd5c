"""A cluster of fakes: `ray`, `srun`, `scontrol`, `ip` and the console script are found first on PATH."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).parent / "fakes"
# The tests must not see the rank, the GPUs or the settings of the machine they run on.
FOREIGN = (
    "SLURM_",
    "RAY_",
    "NCCL_",
    "GLOO_",
    "FUNREASON_",
    "NODE_RANK",
    "NNODES",
    "HEAD_ADDR",
    "UV_",
    "PIP_",
)


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that steers the scripts."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Returns once the condition holds; a test that waits longer is stuck."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the expected state was not reached"
        time.sleep(0.02)


@dataclass
class Cluster:
    """Runs launch scripts as the nodes of one job; what is left of them ends with the test."""

    state: Path
    port: int
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **settings: object) -> dict[str, str]:
        path = [str(FAKES / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        quick = {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(FAKES / "python"),
            "FUNREASON_BOOTSTRAP": "skip",
            "FUNREASON_FAKE_STATE": str(self.state),
            "FUNREASON_RAY_PORT": str(self.port),
            "FUNREASON_POLL_SECONDS": "0.05",
            "FUNREASON_WAIT_SECONDS": "60",
            "FUNREASON_HEAD_PATIENCE": "0",
        }
        return clean_environment() | quick | {name: str(value) for name, value in settings.items()}

    def start(self, script: str, *arguments: str, **settings: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["bash", f"launch/{script}", *arguments],
            cwd=REPO,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell cannot trap a signal that was ignored when it began, as in a background job.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def node(
        self, rank: int, nodes: int, *arguments: str, script: str = "sft_h20x32.sh", **settings: object
    ) -> subprocess.Popen[str]:
        place = {"NNODES": nodes, "NODE_RANK": rank, "HEAD_ADDR": "127.0.0.1"}
        return self.start(script, *arguments, **(place | settings))

    def calls(self) -> list[str]:
        """How the console script was called, in order."""
        path = self.state / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def nodes(self) -> dict[str, dict]:
        """What each started Ray node saw, by rank."""
        records = [json.loads(path.read_text()) for path in self.state.glob("nodes/*.json")]
        return {record["NodeName"].partition("@")[0]: record for record in records}

    def living(self) -> list[str]:
        """The ranks whose Ray still runs."""
        return [rank for rank, record in self.nodes().items() if Path(f"/proc/{record['pid']}").exists()]
