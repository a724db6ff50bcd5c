"""Work in a process of its own: what it is given, what comes home, and that it ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from funreason_train.errors import UserError
from funreason_train.run.process import Child, ChildFailed, call_in_process

HERE = Path(__file__)
FOLDERS = {"PYTHONPATH": f"{HERE.parents[2]}{os.pathsep}{HERE.parent}"}


def echo(job: Any) -> Any:
    return {"job": job, "pid": os.getpid(), "mark": os.environ.get("MARK"), "stdin": sys.stdin.read()}


def mistake(job: Any) -> None:
    raise UserError("is missing", where=job, fix="Set it")


def crash(job: Any) -> None:
    raise KeyError("no such thing")


def unfit(job: Any) -> object:
    return object()


def killed(job: Any) -> None:
    print("half a word", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def tells_secrets(job: Any) -> None:
    sys.stdout.buffer.write(b"10%\r20%\r\n\xff no text\n")
    print("HF_TOKEN='hf_of_mine_alone' at https://me:hunter22@host/x", flush=True)
    raise ValueError("refused: {'Authorization': 'Bearer abc.DEF-123='}")


def wait(job: Any) -> None:
    """Tells its process and waits; with a child of its own if it is asked for one."""
    pids = [os.getpid()]
    if job.get("child"):
        pids.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
    path = Path(job["file"])
    path.with_suffix(".new").write_text(" ".join(map(str, pids)))
    path.with_suffix(".new").rename(path)
    time.sleep(600)


def test_what_a_framework_logs_has_no_secrets_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine_alone")
    log = tmp_path / "stage.log"
    with pytest.raises(ChildFailed), Child(tells_secrets, None, environment=FOLDERS, log=log) as child:
        child.result()
    told = log.read_bytes()
    assert told.startswith(
        b"10%\r20%\r\n\xff no text\nHF_TOKEN='[HF_TOKEN]' at https://me:[PASSWORD]@host/x\n"
    )
    assert b"'Bearer [SECRET]'" in told and b"hf_of_mine" not in told and b"DEF-123" not in told
    assert [*tmp_path.iterdir()] == [log]


def test_a_job_travels_there_and_a_result_home() -> None:
    job = {"text": "π\ud800", "list": [1, 2.5, None, True], "long": "x" * 300_000}
    found = call_in_process(echo, job, {**FOLDERS, "MARK": "7"})
    assert found["job"] == job
    assert found["pid"] != os.getpid() and found["mark"] == "7" and found["stdin"] == ""


def test_a_function_may_be_named_without_being_imported() -> None:
    assert call_in_process("test_call_in_process:echo", 1, FOLDERS)["job"] == 1


def test_a_user_s_mistake_comes_home_with_its_parts() -> None:
    with pytest.raises(UserError) as caught:
        call_in_process(mistake, "sft.model", FOLDERS)
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("is missing", "sft.model", "Set it")


def test_a_crash_tells_the_exception_and_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(ChildFailed, match="KeyError: 'no such thing'") as caught,
        Child(crash, None, environment=FOLDERS, log=log) as child,
    ):
        child.result()
    assert caught.value.code == 1
    assert "Traceback" in log.read_text() and "no such thing" in log.read_text()


def test_a_result_that_is_no_json_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildFailed, match="not JSON serializable"):
        call_in_process(unfit, None, FOLDERS)


def test_a_child_that_is_killed_fails_with_its_signal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(ChildFailed, match="code -9 and no message") as caught,
        Child(killed, None, environment=FOLDERS, log=log) as child,
    ):
        child.result()
    assert caught.value.code == -signal.SIGKILL and caught.value.why == ""
    assert log.read_text() == "half a word\n"


def test_a_child_ends_with_its_context(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with Child(wait, {"file": str(file), "child": True}, environment=FOLDERS, group=True):
        pids = _pids(file)
    assert all(_gone(pid) for pid in pids)


def test_a_child_that_takes_no_interrupt_is_sent_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command behind `&` in a script ignores SIGINT, its stage does too, and each stop took 20 s more."""
    sent: list[int] = []
    real = subprocess.Popen.send_signal

    def noted(process: subprocess.Popen[bytes], number: int) -> None:
        sent.append(number)
        real(process, number)

    monkeypatch.setattr(subprocess.Popen, "send_signal", noted)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Child(wait, {"file": str(tmp_path / "pids")}, environment=FOLDERS) as child:
            while not (tmp_path / "pids").exists():
                time.sleep(0.05)
        assert sent == [signal.SIGTERM] and child.poll() == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    parent = (
        "from funreason_train.run.process import call_in_process\n"
        f"call_in_process('test_call_in_process:wait', {{'file': {str(file)!r}}})"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], env={**os.environ, **FOLDERS})
    (pid,) = _pids(file)
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert _gone(pid)
    finally:
        if psutil.pid_exists(pid) and not _gone(pid, patience=0):
            os.kill(pid, signal.SIGKILL)


def test_an_inherited_file_is_held_by_the_child(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    read, write = os.pipe()
    with Child(wait, {"file": str(file)}, environment=FOLDERS, inherit=(write,)):
        _pids(file)
        os.close(write)
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):  # the pipe is still open at the other end
            os.read(read, 1)
    os.set_blocking(read, True)
    assert os.read(read, 1) == b""
    os.close(read)


def _pids(file: Path) -> list[int]:
    until = time.monotonic() + 300
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    return list(map(int, file.read_text().split()))


def _gone(pid: int, patience: float = 60) -> bool:
    """Whether a process ends; a zombie that waits for a parent of its own has ended."""
    until = time.monotonic() + patience
    while True:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
