"""One command at a time in a run directory."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.run.lock import locked
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
