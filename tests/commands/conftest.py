"""A run directory and stages that start nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands.staged import Spawned, install

from funreason_train.run.paths import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.at(tmp_path / "run")
    run.root.mkdir()
    (run.root / "rows.json").write_text("[1]")
    return run


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Spawned:
    return install(monkeypatch)
