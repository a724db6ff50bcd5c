"""A dry run shows what matters and writes the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.commands.cli import main


def test_what_matters_comes_first_and_long_files_are_only_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["+recipe=funreason_mt_4b", "dry_run=true", f"run_dir={tmp_path}"]
    assert main(["rl", *words]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert len(lines) < 40
    brief, commands, files = (
        next(number for number, line in enumerate(lines) if part in line)
        for part in ("rl in brief", "NODE_RANK=0", "plan/rl.yaml")
    )
    assert brief < commands < files
    for name in ("rl.yaml", "config.yaml", "commands.txt"):
        assert str(tmp_path / "plan" / name) in out
        assert (tmp_path / "plan" / name).stat().st_size > 100
    assert len((tmp_path / "plan" / "rl.yaml").read_text().splitlines()) > 300
    assert "no problems found" in lines[-1]


def test_problems_are_told_after_what_could_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["rl.learning_rate=-1", "rl.temperature=-1", "dry_run=true", f"run_dir={tmp_path}"]
    assert main(["rl", *words]) == 2
    shown = capsys.readouterr()
    assert "problems would stop the run" in shown.err and "rl.temperature=-1" in shown.err
    assert (tmp_path / "plan" / "config.yaml").is_file()
