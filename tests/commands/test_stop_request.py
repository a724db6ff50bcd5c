"""Asked to stop, a training saves and ends with a code that means "give the same command again"."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands.staged import SFT, Spawned

from funreason_train.commands.cli import main
from funreason_train.commands.execution import execute as executing
from funreason_train.commands.execution.stop import StageStopped, StopRequest
from funreason_train.commands.stages import STAGES
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.run.stop import VARIABLE


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_becomes_a_note_for_the_stage(run: RunDir, number: int) -> None:
    note = run.stop("sft")
    before = signal.getsignal(number)
    with StopRequest("SFT", note, heeded=True) as stop:
        stop.look()
        assert not note.exists()
        os.kill(os.getpid(), number)
        stop.look()
        assert note.exists()
    assert signal.getsignal(number) == before


def test_a_file_of_the_batch_system_is_a_request_too(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "asked"))
    with StopRequest("SFT", run.stop("sft"), heeded=True) as stop:
        stop.look()
        assert not run.stop("sft").exists()
        (tmp_path / "asked").touch()
        stop.look()
        assert run.stop("sft").exists()


def test_a_second_sigterm_interrupts(run: RunDir) -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest("SFT", run.stop("sft"), heeded=True):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_old_note_does_not_stop_a_run_that_goes_on(run: RunDir) -> None:
    run.stop("sft").parent.mkdir(parents=True)
    run.stop("sft").touch()
    with StopRequest("SFT", run.stop("sft"), heeded=True):
        assert not run.stop("sft").exists()


def test_a_stage_without_checkpoints_is_ended_at_once(run: RunDir) -> None:
    with StopRequest("Data", run.stop("data"), heeded=False) as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(StageStopped, match="the same command runs it again"):
            stop.look()


def test_a_stopped_stage_ends_with_75_and_the_same_command_goes_on(
    run: RunDir,
    spawned: Spawned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "asked"))
    monkeypatch.setitem(STAGES, "sft", lambda: replace(SFT, nodes=True))

    def stopped(*_: Any) -> tuple[dict[str, Any], int]:
        return {"stopped": 7}, 1

    with monkeypatch.context() as patch:
        patch.setattr(executing, "spawn", stopped)
        assert main(["sft", f"run_dir={run.root}"]) == 75
    assert "saved at step 7 and stopped" in capsys.readouterr().err
    assert (tmp_path / "asked.saved").exists()
    assert Manifest(run).stage("sft")["state"] == "stopped"
    assert main(["sft", f"run_dir={run.root}"]) == 0
    assert spawned.done == ["sft"] and Manifest(run).stage("sft")["state"] == "done"


def test_an_answer_that_cannot_be_written_takes_no_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that others own the command ended with 1, and no batch system gave it again."""
    (tmp_path / "asked.saved").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "asked"))
    StopRequest.answer()
    assert "the run has saved all the same" in " ".join(capsys.readouterr().out.split())
