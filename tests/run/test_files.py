"""Files appear whole or not at all, and what could not be written leaves nothing."""

import resource
from pathlib import Path

import pytest

from funreason_train.run.files import write_text


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
