"""The data stage's worker processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

_PARENT = """
import os, sys
from funreason_train.run.parallel import Workers

if __name__ == "__main__":
    with Workers(2) as workers:
        for number, _ in enumerate(workers.map(len, (["x"] for _ in iter(int, 1)))):
            if number == 20:
                print(*[process for process in workers._pool._processes], flush=True)
                sys.stdin.read()
"""


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_killed_stage_leaves_no_worker_behind(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2 and all(map(_lives, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 300
    while any(map(_lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_lives, workers))
