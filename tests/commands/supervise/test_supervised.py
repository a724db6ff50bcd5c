"""A supervised stage: tried again where that can help, stopped where it cannot, every failure told."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from commands.staged import Spawned, command, config_of

from funreason_train.commands.execution.spawn import StageFailed
from funreason_train.commands.execution.stop import StageStopped
from funreason_train.commands.stages import stage_of
from funreason_train.commands.supervise.supervise import supervised
from funreason_train.errors import UserError
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir

SOON = ("supervise=true", "supervision.wait_seconds=0.01", "supervision.most_wait_seconds=0.02")
LOST = "Traceback (most recent call last):\nConnectionResetError: [Errno 104] Connection reset by peer\n"
FULL = "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n"


class Stage:
    """Fails with each of the logs in turn, then succeeds."""

    def __init__(self, folder: Path, *logs: str | Exception) -> None:
        self.folder, self.logs, self.calls = folder, list(logs), 0

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        if not self.logs:
            return {"done": True}
        failure = self.logs.pop(0)
        if isinstance(failure, Exception):
            raise failure
        log = self.folder / f"sft.{self.calls}.log"
        log.write_text(failure)
        raise StageFailed("the stage 'sft' failed", log, 1, "RuntimeError: an echo")


def incidents(run: RunDir) -> list[str]:
    return [file.read_text() for file in sorted(run.incidents.glob("*.md"))]


def test_what_can_pass_is_tried_again_and_told(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = Stage(run.root, LOST, LOST)
    assert supervised(stage_of("sft"), config_of(run, *SOON), run, attempt) == {"done": True}
    assert attempt.calls == 3
    told = incidents(run)
    assert len(told) == 2
    assert "kind **network**" in told[0] and "Connection reset by peer" in told[0]
    assert "started again in 0 s" in told[0] and f"line 2 of {run.root / 'sft.1.log'}" in told[0]
    assert "new start 2 of at most 3" in told[1]
    assert "started again" in capsys.readouterr().out


def test_what_cannot_pass_stops_at_once(run: RunDir, spawned: Spawned) -> None:
    attempt = Stage(run.root, FULL)
    with pytest.raises(StageFailed) as caught:
        supervised(stage_of("sft"), config_of(run, *SOON), run, attempt)
    assert attempt.calls == 1
    (told,) = incidents(run)
    assert "kind **disk**" in told and "not started again: it would fail again" in told
    assert str(next(run.incidents.glob("*.md"))) in str(caught.value)


def test_the_limit_ends_it(run: RunDir, spawned: Spawned) -> None:
    attempt = Stage(run.root, LOST, LOST, LOST, LOST, LOST)
    with pytest.raises(StageFailed):
        supervised(stage_of("sft"), config_of(run, *SOON, "supervision.retries=2"), run, attempt)
    assert attempt.calls == 3 and "without progress" in incidents(run)[-1]


def test_a_mistake_of_the_user_s_is_never_tried_again_and_needs_no_incident(
    run: RunDir, spawned: Spawned
) -> None:
    attempt = Stage(run.root, UserError("must be above 0", where="sft.learning_rate"))
    with pytest.raises(UserError):
        supervised(stage_of("sft"), config_of(run, *SOON), run, attempt)
    assert attempt.calls == 1 and not incidents(run)


def test_environments_that_broke_are_given_time(run: RunDir, spawned: Spawned) -> None:
    attempt = Stage(run.root, UserError("ended at step 3: environment_faults 0.5 > 0.2"))
    assert supervised(stage_of("sft"), config_of(run, *SOON), run, attempt) == {"done": True}
    assert "kind **environment**" in incidents(run)[0]


def test_without_supervision_a_failure_is_told_and_not_tried_again(run: RunDir, spawned: Spawned) -> None:
    attempt = Stage(run.root, LOST)
    with pytest.raises(StageFailed):
        supervised(stage_of("sft"), config_of(run), run, attempt)
    assert attempt.calls == 1 and "supervise=true" in incidents(run)[0]


def test_the_checkpoint_that_it_goes_on_from_is_named_and_counts_as_progress(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([2, 2, 2, 2, 5, 5, 5, 5, 5, 5])
    stage = stage_of("sft")
    object.__setattr__(stage, "reached", lambda config, run: next(steps))
    try:
        attempt = Stage(run.root, LOST, LOST, LOST, LOST)
        supervised(stage, config_of(run, *SOON, "supervision.retries=2"), run, attempt)
    finally:
        object.__setattr__(stage, "reached", lambda config, run: 0)
    assert "from step 2, the last that is safe on disk" in incidents(run)[0]
    assert "new start 1 of at most 2" in incidents(run)[2], "a newer checkpoint set the count back"


def test_a_request_to_stop_while_it_waits_ends_the_command(run: RunDir, spawned: Spawned) -> None:
    attempt = Stage(run.root, LOST)

    def sleep(seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StageStopped):
        supervised(stage_of("sft"), config_of(run, "supervise=true"), run, attempt, sleep)


def test_secrets_of_the_environment_are_not_in_incidents(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-tell-anyone")
    log = LOST + "Traceback (most recent call last):\nValueError: key sk-do-not-tell-anyone is refused\n"
    with pytest.raises(StageFailed):
        supervised(stage_of("sft"), config_of(run), run, Stage(run.root, log))
    (told,) = incidents(run)
    assert "sk-do-not" not in told and "[OPENAI_API_KEY]" in told


def test_the_command_runs_a_stage_again_after_a_failure_that_can_pass(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.root / "why.log").write_text(LOST)
    spawned.crash["sft"] = StageFailed("failed", run.root / "why.log", 1)
    command(run, *SOON)
    assert spawned.done == ["sft", "sft"] and "SFT: done" in capsys.readouterr().out
    assert Manifest(run).stage("sft")["state"] == "done"
