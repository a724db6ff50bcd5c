"""One command at a time in a run directory."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.run.lock import locked
from funreason_train.run.lock.by_folder import guarded
from funreason_train.run.paths import RunDir


def test_two_commands_cannot_work_in_one_run_directory(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path / "run")
    with locked(run), pytest.raises(UserError, match="another process"), locked(run):
        pass


def test_the_processes_that_a_killed_command_left_are_waited_for(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess, sys; from pathlib import Path\n"
        "from funreason_train.run.lock import locked; from funreason_train.run.paths import RunDir\n"
        "with locked(RunDir(Path(sys.argv[1]))) as lock:\n"
        "    subprocess.Popen(['sleep', '3'], pass_fds=(lock,))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = RunDir(tmp_path)
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL
    with (tmp_path / ".lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with locked(run):
        pass


@pytest.fixture(params=[errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system as Lustre without -o flock, or NFS without its lock service."""

    def flock(*_: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_run_goes_on_with_a_warning_and_is_still_guarded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir.at(tmp_path / "run")
    with locked(run):
        assert "a file system without locks" in capsys.readouterr().err
        with pytest.raises(UserError, match="another process"), locked(run):
            pass
    with locked(run):  # and it is free again
        pass
    assert [path.name for path in run.root.iterdir()] == [".lock"]


def test_a_folder_whose_holder_is_gone_is_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from funreason_train.run.lock.by_folder import guarded\n"
        "with guarded(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)]).returncode == -signal.SIGKILL
    assert folder.is_dir()
    with guarded(folder) as ours:
        assert ours


def test_another_machines_folder_counts_by_its_last_touch(tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "holder").write_text("another-node 7\n")
    with guarded(folder, patience=600) as ours:
        assert not ours
    os.utime(folder, (0, 0))
    with guarded(folder, patience=600) as ours:
        assert ours
    assert list(tmp_path.iterdir()) == []


def test_the_holder_touches_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    with guarded(folder, beat=0.01) as ours:
        assert ours
        os.utime(folder, (0, 0))
        while folder.stat().st_mtime == 0:  # a test that stays here has found the fault
            pass
