"""A dry run says what the real one would find in the run directory."""

from __future__ import annotations

import pytest
from commands.staged import Spawned, command, config_of

from funreason_train.commands.planning.dry_run import show
from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir

NAMES = ["sft", "rl"]


def _shown(run: RunDir, capsys: pytest.CaptureFixture[str], *words: str, names: list[str] = NAMES) -> str:
    capsys.readouterr()
    show(names, config_of(run, *words), run, [])
    return " ".join(capsys.readouterr().out.split())


def test_what_is_done_or_goes_on(run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]) -> None:
    assert "already in" not in _shown(run, capsys)
    command(run, names=("sft", "rl"))
    assert "sft: done, and skipped rl: done, and skipped" in _shown(run, capsys)
    assert "sft: goes on (sft.epochs: 3 -> 9)" in _shown(run, capsys, "sft.epochs=9")
    assert "sft: starts afresh" in _shown(run, capsys, "restart=sft")


def test_an_interrupted_stage_continues(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    spawned.crash["sft"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        command(run)
    assert "sft: continues" in _shown(run, capsys, names=["sft"])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["seed=7"], "seed: 0 -> 7"),
        (["sft.epochs=1"], "which may only grow"),
        (["rl.samples_per_prompt=3"], "rl.samples_per_prompt"),
        (["restart=export"], "does not run the stage 'export'"),
    ],
)
def test_what_the_real_command_would_refuse(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    command(run, names=("sft", "rl"))
    with pytest.raises(UserError, match=named):
        _shown(run, capsys, *words)
    assert "no problems found" not in capsys.readouterr().out


def test_what_a_stage_before_makes_anew_is_no_other_input(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    command(run, names=("sft", "rl"))
    (run.root / "sft" / "made").unlink()
    assert "rl: done" not in _shown(run, capsys)
