"""The preflight over a real Ray cluster of two nodes, as `doctor` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.commands.cli import main


def test_every_node_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "node_name": "0@first"})
    try:
        cluster.add_node(num_cpus=1, object_store_memory=80_000_000, node_name="1@second")
        words = [f"cluster.address={cluster.address}", "cluster.nodes=2", f"run_dir={tmp_path / 'run'}"]
        monkeypatch.setenv("COLUMNS", "200")
        code = main(["doctor", *words])
    finally:
        cluster.shutdown()
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "Every node" in shown.out and "the same on every node" in shown.out
    for check in ("clock", "shared folder", "network", "connections"):
        (line,) = [line for line in shown.out.splitlines() if f" {check} " in line]
        assert " fine " in line, line
    assert not list((tmp_path / "run").iterdir()), "and nothing is left behind"
