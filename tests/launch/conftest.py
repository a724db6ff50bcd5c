"""The fixture that runs launch scripts on a cluster of fakes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from launch.fake_cluster import Cluster, free_port


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    state = tmp_path / "state"
    state.mkdir()
    cluster = Cluster(state, free_port())
    yield cluster
    for process in cluster.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    for record in cluster.nodes().values():
        if Path(f"/proc/{record['pid']}").exists():
            os.kill(record["pid"], signal.SIGKILL)
