"""Progress travels from a stage's process to the command line."""

from pathlib import Path

import pytest

from funreason_train.run import progress


def test_the_last_report_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress"
    monkeypatch.setenv(progress.VARIABLE, str(path))
    assert progress.read(path) is None
    progress.report(8, 8, "reward 0.5")
    assert progress.read(path) == progress.Progress(8, 8, "reward 0.5")


def test_nobody_watching_and_a_vanished_folder_are_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    progress.report(1, 1)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "gone" / "progress"))
    progress.report(1, 1)
