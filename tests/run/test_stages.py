"""Skip, resume, refuse and restart: what happens to a run directory that is used again."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from funreason_train.commands import stages
from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir, write_json
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.at(tmp_path / "run")


def config_of(run: RunDir, *words: str) -> DictConfig:
    return resolve(compose("data", [f"run_dir={run.root}", "data.datasets=[embedded]", *words]), "data")


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for the stage's process: makes its output and remembers the attempt."""
    attempts: list[int] = []

    def spawn(stage: Any, config: Any, run: RunDir, lock: int, attempt: int) -> tuple[dict[str, Any], int]:
        attempts.append(attempt)
        write_json(run.data / "manifest.json", {})
        return {"rows": 3}, 1

    monkeypatch.setattr(stages, "_spawn", spawn)
    return attempts


def execute(run: RunDir, *words: str) -> dict[str, Any]:
    with stages.locked(run) as lock:
        return stages.execute(stages.STAGES["data"], config_of(run, *words), run, lock)


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
    working = stages._spawn

    def crash(*_: Any) -> Any:
        raise stages.StageFailed("out of memory")

    monkeypatch.setattr(stages, "_spawn", crash)
    with pytest.raises(stages.StageFailed):
        execute(run)
    assert stages.lineage.Manifest(run).stage("data")["state"] == "failed"
    monkeypatch.setattr(stages, "_spawn", working)
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
    stages.move_aside(run, "data")
    assert execute(run, "seed=5")["skipped"] is False
    stages.move_aside(run, "data")
    assert sorted(path.name for path in (run.root / "old").iterdir()) == ["data.1", "data.2"]


def test_two_commands_cannot_work_in_one_run_directory(run: RunDir) -> None:
    with stages.locked(run), pytest.raises(UserError, match="another process"), stages.locked(run):
        pass


def test_where_a_stage_runs_is_not_part_of_its_job(run: RunDir, spawned: list[int]) -> None:
    execute(run)
    assert execute(run, "cluster.wait_seconds=5", "output=screen")["skipped"] is True


def test_the_processes_that_a_killed_command_left_are_waited_for(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess, sys; from pathlib import Path\n"
        "from funreason_train.commands import stages; from funreason_train.run.paths import RunDir\n"
        "with stages.locked(RunDir(Path(sys.argv[1]))) as lock:\n"
        "    subprocess.Popen(['sleep', '3'], pass_fds=(lock,))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = RunDir(tmp_path)
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL
    with (tmp_path / ".lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with stages.locked(run):
        pass
