"""Telling that a command has ended: one argument whatever it says, no shell, no secrets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from commands.staged import Spawned

from funreason_train.commands.cli import main
from funreason_train.commands.execution.spawn import StageFailed
from funreason_train.commands.execution.stop import StageStopped
from funreason_train.commands.line.notify import notified
from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program that writes down what it was given."""
    file = tmp_path / "notify.py"
    out = tmp_path / "told.json"
    file.write_text(
        f"import json, os, sys\njson.dump([sys.argv[1:], dict(os.environ)], open({str(out)!r}, 'w'))\n"
    )
    return f"{sys.executable} {file} --title 'two words'"


def told(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    words, environment = json.loads((tmp_path / "told.json").read_text())
    return words, environment


def test_a_program_gets_one_sentence(tmp_path: Path, program: str) -> None:
    with notified(program, "sft", "runs/a"):
        pass
    words, _ = told(tmp_path)
    assert words[:2] == ["--title", "two words"] and len(words) == 3
    assert words[2].startswith("funreason-train sft: done after 0:00:0") and words[2].endswith("in runs/a")


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (StageStopped("saved at step 3"), "saved and stopped"),
        (StageFailed("the stage 'sft' failed: x\nits log: y"), "failed (the stage 'sft' failed: x)"),
        (UserError("must be above 0"), "failed (must be above 0)"),
    ],
)
def test_it_says_how_it_ended(tmp_path: Path, program: str, error: Exception, part: str) -> None:
    with pytest.raises(type(error)), notified(program, "sft", "runs/a"):
        raise error
    assert part in told(tmp_path)[0][2]


def test_nothing_in_a_message_reaches_a_shell(tmp_path: Path, program: str) -> None:
    evil = f"$(touch {tmp_path}/owned); `touch {tmp_path}/owned` | tee {tmp_path}/owned & '"
    with pytest.raises(UserError), notified(program, "sft", evil):
        raise UserError(evil)
    assert not (tmp_path / "owned").exists() and "$(touch" in told(tmp_path)[0][2]
    with notified(f"echo ; touch {tmp_path}/owned", "sft", "a"):
        pass
    assert not (tmp_path / "owned").exists()


def test_no_secret_is_handed_on(tmp_path: Path, program: str) -> None:
    environ = {**os.environ, "HF_TOKEN": "hf_do_not_tell", "WANDB_API_KEY": "wandb-secret"}
    with pytest.raises(UserError), notified(program, "sft", "a", environ):
        raise UserError("login with hf_do_not_tell failed")
    words, environment = told(tmp_path)
    assert "HF_TOKEN" not in environment and "WANDB_API_KEY" not in environment and "PATH" in environment
    assert "hf_do_not_tell" not in words[2]


@pytest.mark.parametrize("how", ["/no/such/program", "false", "echo 'unbalanced"])
def test_a_program_that_does_not_work_is_one_line(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    with notified(how, "sft", "a"):
        pass
    assert "notify: the program did not work" in capsys.readouterr().out


def test_a_stage_s_command_tells(
    run: RunDir, spawned: Spawned, tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["sft", f"run_dir={run.root}", f"notify={program}"]) == 0
    assert "funreason-train sft: done" in told(tmp_path)[0][2]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["sft", "tokenise_only=true"], "funreason-train sft: failed ("),
        (["pipeline", "rehearse=true"], "funreason-train rehearsal: failed ("),
    ],
)
def test_what_is_no_stage_tells_as_well(tmp_path: Path, program: str, words: list[str], part: str) -> None:
    """A rehearsal, which takes as long as a run, ended in silence."""
    (tmp_path / "run.rehearsal").write_text("in the way")
    assert main([*words, f"run_dir={tmp_path / 'run'}", f"notify={program}"]) == 2
    assert part in told(tmp_path)[0][2]
