"""A hang is found wherever it is, and the stacks that show it are written before anything is ended."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands.supervise.hanging import PLACES, run

from funreason_train.commands.supervise.guard import Found, Guard
from funreason_train.commands.supervise.stacks import write_stacks
from funreason_train.run import beat, progress

FAR = 120.0  # seconds after which a test gives up


def ended(root: psutil.Process) -> None:
    for one in [*root.children(recursive=True), root]:
        one.kill()
    psutil.wait_procs([root], timeout=60)


def found_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, **limits: Any
) -> tuple[Found, list[int]]:
    """Runs the stage until its watchdog barks; the processes that were alive then."""
    guard = Guard(tmp_path / "beats", tmp_path / "progress", tmp_path / "stacks", interval=0.1, **limits)
    monkeypatch.setenv(beat.VARIABLE, str(guard.folder))
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress"))
    child = multiprocessing.get_context("spawn").Process(target=run, args=(place,))
    child.start()
    root = psutil.Process(child.pid)
    try:
        until = time.monotonic() + FAR
        while time.monotonic() < until:
            if found := guard.look(root.pid):
                return found, [one.pid for one in root.children(recursive=True) if one.is_running()]
            time.sleep(0.05)
        raise AssertionError(f"nothing was found at {place}")
    finally:
        ended(root)


@pytest.mark.parametrize("place", PLACES)
def test_a_hang_is_found_with_its_place_in_the_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    found, alive = found_in(tmp_path, monkeypatch, place, hang_seconds=3.0, start_seconds=60.0)
    first = found.hang.silent[0]
    assert found.hang.seconds > found.hang.limit >= 3.0
    if PLACES[place] != "stage":
        assert place in first.phase, "the one that hangs is named, and not one that waits for it"
        assert len(alive) >= 3, "nothing was ended before the stacks were written"
    stacks = {file.name: file.read_text() for file in found.stacks.glob("*.txt")}
    assert any(place in text and "stuck" in text for text in stacks.values()), stacks
    if PLACES[place] != "stage":
        assert place in stacks[f"{first.who}.txt"], "also without a look from outside"


def test_without_py_spy_the_processes_write_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "funreason_train.commands.supervise.stacks._py_spy",
        lambda pid: (False, "py-spy is not installed here\n"),
    )
    found, _ = found_in(tmp_path, monkeypatch, "collective", hang_seconds=3.0, start_seconds=60.0)
    stacks = {file.name: file.read_text() for file in found.stacks.glob("*.txt")}
    assert "collective" in stacks["training.1.txt"] and "0 of" in found.told[0]
    assert "3 of 3" in found.told[1]


def test_a_process_on_another_machine_answers_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "beats"
    monkeypatch.setenv(beat.VARIABLE, str(folder))
    child = multiprocessing.get_context("spawn").Process(target=_elsewhere)
    child.start()
    try:
        until = time.monotonic() + FAR
        while not (folder / "training.0.stack").exists() and time.monotonic() < until:
            time.sleep(0.1)
        (far,) = beat.beats(folder).values()
        told = write_stacks(
            os.getpid(), folder, {far.who: beat.Beat(**{**vars(far), "host": "far"})}, tmp_path / "s"
        )
        assert "1 of 1" in told[1] and "_elsewhere" in (tmp_path / "s" / "training.0.txt").read_text()
    finally:
        child.kill()
        child.join()


def _elsewhere() -> None:
    beat.beat("training.0", "step", 1)
    time.sleep(3600)
