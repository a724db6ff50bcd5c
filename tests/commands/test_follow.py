"""How far a stage is and how long it will still take, on a terminal of 80 columns and where there is none."""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from funreason_train.commands import display
from funreason_train.commands.execution.follow import StageDisplay
from funreason_train.commands.execution.pace import Pace, duration, time_of_end
from funreason_train.commands.stages import STAGES, stage_of
from funreason_train.run.progress import Progress


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def time(self) -> datetime:
        """On the clock: noon, and what has passed since."""
        return datetime(2026, 11, 28, 12, 0) + timedelta(seconds=self.now - 1000)


def shown(
    monkeypatch: pytest.MonkeyPatch,
    path: Path,
    reports: Sequence[tuple[float, dict[str, object] | None]],
    terminal: bool,
    title: str = "Evaluating",
) -> str:
    """What is printed when each report is there after so many seconds."""
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, width=80, force_terminal=terminal, color_system=None, legacy_windows=False)
    monkeypatch.setattr(display, "console", console)
    with StageDisplay(title, path, True, clock, lambda: f"t{clock.now - 1000:.0f}", clock.time) as follow:
        for seconds, report in reports:
            clock.now = 1000.0 + seconds
            if report is not None:
                path.write_text(json.dumps(report))
            follow.refresh()
            if terminal:
                console.print(follow._bar.get_renderable())  # type: ignore[union-attr]
    return file.getvalue()


def report(done: int, total: int | None, text: str = "") -> dict[str, object]:
    return {"done": done, "total": total, "text": text}


def test_without_a_terminal_there_are_lines_with_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = [
        (0, None),
        (5, report(0, None, "tokenising")),
        (6, report(0, None, "tokenising")),
        (20, report(0, 90, "starting training workers")),
        (30, report(3, 90, "loss 5.0")),
        (50, report(9, 90, "loss 4.0")),
        (60, report(12, 90, "loss 3.5")),
    ]
    lines = shown(monkeypatch, tmp_path / "p", reports, terminal=False).splitlines()
    assert lines == [
        "t0 Evaluating: starting, 0:00:00",
        "t5 Evaluating: 0:00:05, tokenising",
        "t20 Evaluating: 0 of 90 (0%), 0:00:20, starting training workers",
        "t50 Evaluating: 9 of 90 (10%), 0:00:50, about 0:04:30 left (12:05), loss 4.0",
    ]


def test_a_stage_that_says_nothing_still_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(monkeypatch, tmp_path / "p", [(second, None) for second in range(0, 900, 1)], terminal=False)
    assert len(text.splitlines()) == 30
    assert text.splitlines()[-1] == "t870 Evaluating: starting, 0:14:30"


@pytest.mark.parametrize("name", STAGES)
def test_no_line_is_broken_at_80_columns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "reward 0.512, groups with identical rewards 43 %, rollouts of 8,192 samples, step took 1,020 s"
    reports = [(0.0, None), (10.0, report(0, 125_000, text)), (3600.0, report(40_000, 125_000, text))]
    out = shown(monkeypatch, tmp_path / "p", reports, True, stage_of(name).title)
    lines = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", out).replace("\r", "\n").splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert any(stage_of(name).title in line and "━" in line for line in lines), "title and bar on one line"
    assert "…" in out, "the words are cut off, not the line broken"
    assert "1:00:00, about" in out and "left (" in out
    assert "reward 0.512" in out, "the last figure is within the 80 columns"


def test_elapsed_and_left_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = [(0.0, report(0, 100)), (60.0, report(20, 100)), (120.0, report(40, 100))]
    out = shown(monkeypatch, tmp_path / "p", reports, True)
    assert "40 of 100 (40%), 0:02:00, about 0:03:00 left (12:05)" in out


def test_an_end_on_another_day_says_which() -> None:
    evening = datetime(2026, 11, 28, 23, 0)
    assert time_of_end(600, evening) == "23:10" and time_of_end(7200, evening) == "Sun 01:00"


def test_steps_without_number_have_no_end() -> None:
    """Of rl.steps=1000000000 the end was beyond all dates, and the display ended the training."""
    assert time_of_end(1e12, datetime(2026, 1, 2)) == ""


def test_time_left_counts_from_where_a_run_resumed() -> None:
    pace = Pace(0.0)
    assert pace.left(Progress(300, 1000, ""), 100.0) is None
    assert pace.left(Progress(310, 1000, ""), 200.0) == pytest.approx(6900)
    assert pace.left(Progress(310, 1000, ""), 250.0) == pytest.approx(6850)
    assert pace.left(Progress(0, 50, ""), 260.0) is None, "another phase has another pace"


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 61.9, 3600 * 30)] == ["0:00:00", "0:01:01", "30:00:00"]


def test_a_full_disk_that_the_lines_go_to_ends_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`funreason-train rl > FILE` on a disk that others have filled ended the training."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(display, "console", Console(file=Full(), width=80))
    with StageDisplay("RL", tmp_path / "p", True) as follow:
        for _ in range(3):
            follow.refresh()
