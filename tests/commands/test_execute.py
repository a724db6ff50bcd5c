"""Skip, resume, refuse and restart: what happens to a run directory that is used again."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from funreason_train.commands import execute as executing
from funreason_train.commands.spawn import StageFailed
from funreason_train.commands.stages import stage_of
from funreason_train.errors import UserError
from funreason_train.run.files import write_json
from funreason_train.run.lock import locked
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.at(tmp_path / "run")


def config_of(run: RunDir, *words: str) -> DictConfig:
    return resolve(compose("data", [f"run_dir={run.root}", *words]), "data")


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for the stage's process: makes its output and remembers the attempt."""
    attempts: list[int] = []

    def spawn(stage: Any, config: Any, run: RunDir, lock: int, attempt: int) -> tuple[dict[str, Any], int]:
        attempts.append(attempt)
        write_json(run.data / "manifest.json", {})
        return {"rows": 3}, 1

    monkeypatch.setattr(executing, "spawn", spawn)
    return attempts


def execute(run: RunDir, *words: str) -> dict[str, Any]:
    with locked(run) as lock:
        return executing.execute(stage_of("data"), config_of(run, *words), run, lock)


def test_a_finished_stage_is_skipped_with_its_result(run: RunDir, spawned: list[int]) -> None:
    assert execute(run) == {"rows": 3, "skipped": False}
    assert execute(run) == {"rows": 3, "skipped": True}
    assert spawned == [1]


def test_a_finished_stage_whose_output_is_gone_runs_again(run: RunDir, spawned: list[int]) -> None:
    execute(run)
    (run.data / "manifest.json").unlink()
    assert execute(run)["skipped"] is False
    assert spawned == [1, 2]


def test_a_failed_stage_runs_again_and_counts_its_attempts(
    run: RunDir, spawned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    working = executing.spawn

    def crash(*_: Any) -> Any:
        raise StageFailed("out of memory")

    monkeypatch.setattr(executing, "spawn", crash)
    with pytest.raises(StageFailed):
        execute(run)
    assert Manifest(run).stage("data")["state"] == "failed"
    monkeypatch.setattr(executing, "spawn", working)
    assert execute(run)["skipped"] is False
    assert spawned == [2]


def test_other_settings_are_refused_with_the_key_and_the_ways_out(run: RunDir, spawned: list[int]) -> None:
    execute(run)
    with pytest.raises(UserError) as caught:
        execute(run, "seed=5")
    assert "seed: 0 -> 5" in str(caught.value)
    assert "run_dir=" in str(caught.value) and "restart=data" in str(caught.value)
    assert spawned == [1]


def test_restart_keeps_the_old_results(run: RunDir, spawned: list[int]) -> None:
    execute(run)
    executing.move_aside(run, "data", config_of(run))
    assert execute(run, "seed=5")["skipped"] is False
    executing.move_aside(run, "data", config_of(run))
    assert sorted(path.name for path in (run.root / "old").iterdir()) == ["data.1", "data.2"]


def test_where_a_stage_runs_is_not_part_of_its_job(run: RunDir, spawned: list[int]) -> None:
    execute(run)
    assert execute(run, "cluster.wait_seconds=5", "output=screen")["skipped"] is True
