"""Files appear whole or not at all, and what could not be written leaves nothing."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from funreason_train.run.files import fresh_folder, unwritable, write_text


def test_what_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    """On a full disk every try left half a file, hidden, beside the old one."""
    (tmp_path / "report.html").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError):
            write_text(tmp_path / "report.html", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_folder_in_its_place_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "report.html", "new")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_file_in_the_place_of_a_run_directory_is_called_one(tmp_path: Path) -> None:
    """The advice was to free some space, or to change its permissions."""
    (tmp_path / "rows.jsonl").write_text("")
    for place in (tmp_path / "rows.jsonl", tmp_path / "rows.jsonl" / "runs" / "a"):
        with pytest.raises(OSError) as caught:
            place.mkdir(parents=True)
        said = str(unwritable(place, caught.value))
        assert f"{tmp_path / 'rows.jsonl'} is a file, not a folder" in said and "space" not in said
    assert "cannot be written" in str(unwritable(tmp_path, PermissionError(13, "Permission denied")))


def test_what_a_killed_command_left_of_a_folder_is_removed_by_the_next(tmp_path: Path) -> None:
    """Each kill in the middle left a copy of all data, hidden in the run directory, for good."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    out, other = tmp_path / "data", tmp_path / f".other.{gone.pid}.tmp"
    killed, old = tmp_path / f".data.{gone.pid}.tmp", tmp_path / f".data.{gone.pid}.old"
    lives = tmp_path / f".data.{os.getppid()}.tmp"
    for folder in (killed, old, lives, other):
        folder.mkdir()
        (folder / "rows").write_text("1")
    with fresh_folder(out, alone=False):
        assert killed.exists() and old.exists()
    shutil.rmtree(out)
    with fresh_folder(out):
        assert not killed.exists() and old.exists(), "there is no other result yet"
    with fresh_folder(out):
        assert not old.exists() and (lives / "rows").exists() and (other / "rows").exists()
    assert sorted(tmp_path.iterdir()) == sorted([out, lives, other])
