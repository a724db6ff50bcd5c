"""Signs of life: written when there is news, by each process for itself, and never in the way of its work."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.run import beat
from funreason_train.run.beat import IDLE, Work, beats


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(beat.VARIABLE, str(tmp_path / "beats"))
    monkeypatch.setattr(beat, "_voice", type(beat._voice)())
    monkeypatch.setattr(beat, "_answer_for_stacks", lambda folder, who: None)
    return tmp_path / "beats"


def test_each_piece_of_news_is_written_and_nothing_twice(folder: Path) -> None:
    beat.beat("training.0", "step", 1)
    first = (folder / "training.0.json").stat().st_ino
    beat.beat("training.0", "step", 1)
    assert (folder / "training.0.json").stat().st_ino == first
    beat.beat("training.0", "saving", 1)
    said = beats(folder)["training.0"]
    assert (said.phase, said.step, said.count) == ("saving", 1, 1)


def test_work_side_by_side_is_idle_only_when_all_of_it_has_ended(folder: Path) -> None:
    work = Work("agent")
    work.begins("rollout")
    work.begins("rollout")
    work.ends("rollout")
    assert beats(folder)[work.who].phase == "rollout"
    work.ends("rollout")
    assert beats(folder)[work.who].phase == IDLE


def test_nobody_watches_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(beat.VARIABLE, raising=False)
    beat.beat("training.0", "step", 1)
    assert not list(tmp_path.iterdir()) and not beat.inherited()


def test_a_full_disk_does_not_stop_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(beat.VARIABLE, str(tmp_path / "file" / "no-folder"))
    beat.beat("training.0", "step", 1)


def test_what_is_being_written_is_passed_over(folder: Path) -> None:
    beat.beat("training.0", "step", 1)
    (folder / "training.1.json").write_text('{"who": "training.1", "pi')
    (folder / "training.2.json").write_text('{"who": "training.2"}')
    assert list(beats(folder)) == ["training.0"]
