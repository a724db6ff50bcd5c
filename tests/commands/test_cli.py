"""The command line: exit codes and sentences for people."""

import subprocess
import sys
from pathlib import Path

import pytest

from funreason_train.commands.cli import COMMANDS, main


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]])
def test_the_overview_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_settings(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "settings of this command" in out and "run_dir:" in out and "+recipe=" in out


def test_help_imports_no_framework() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "funreason_train", "sft", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert imported.isdisjoint({"torch", "ray", "vllm", "verl", "llamafactory", "transformers"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pipelin"], "did you mean"),
        (["data", "datasets=[apigen]", "apigen.path=/nowhere/rows.json"], "/nowhere/rows.json"),
        (["sft", "cluster=h20x32", "+recipe=funreason_mt_4b"], "GPU"),
        (["sft", "model=EMPTY"], "EMPTY"),
        (["rl", "rl.samples_per_prompt=1", "data.out=x"], "samples_per_prompt"),
        (["pipeline", "pipeline.stages=[data,deploy]"], "deploy"),
        (["pipeline", "pipeline.stages=[rl,sft,sft]"], "Write [sft,rl]"),
        (["data", "lerning=1"], "lerning"),
        (["report", "dry_run=true"], "report: this command has no dry run. Leave out dry_run=true"),
        (["reverify", "reward=partial", "dry_run=true"], "reverify: this command has no dry run"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    assert main([*words, *([] if words == ["pipelin"] else ["run_dir=run"])]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_a_failed_stage_is_not_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from funreason_train.commands.execution import execute, spawn

    def crash(*_: object) -> object:
        raise spawn.StageFailed("the stage 'data' failed: killed")

    monkeypatch.setattr(execute, "spawn", crash)
    assert main(["data", f"run_dir={tmp_path}", "data.datasets=[synth]"]) == 1


def test_an_error_repeats_no_secret_and_no_steering(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_PASSWORD", "hunter22")
    assert main(["runs", "folder=/nowhere/https:/hunter22\x1b[2J"]) == 2
    error = capsys.readouterr().err
    assert "[MY_SERVICE_PASSWORD]" in error and "hunter22" not in error and "\x1b" not in error


@pytest.mark.parametrize(
    ("around", "code", "said"),
    [
        ("{command} >/dev/full", 1, "is full (No space left on device)"),
        ("{command} >&-", 0, ""),
        (
            "mkdir gone && cd gone && rmdir ../gone && {command}",
            2,
            "is not there any more. Change to another one",
        ),
    ],
)
def test_what_is_wrong_around_a_command_is_one_sentence(
    around: str, code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    line = around.format(command=f"{sys.executable} -m funreason_train runs folder={tmp_path}")
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr, done.stderr
