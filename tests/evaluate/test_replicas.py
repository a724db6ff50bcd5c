"""Replicas: errors are told, silence is noticed, and nothing is left running."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from funreason_train.evaluate.serve.replicas import LineCounter, ReplicaFailed, devices, run_replicas


def run(tmp_path, code, replicas=2, moved=lambda: 0, patience=60.0):
    run_replicas(
        [sys.executable, "-c", code],
        [{"SHARE": str(number)} for number in range(replicas)],
        lambda number: tmp_path / f"{number}.log",
        moved,
        patience,
    )


def test_each_replica_has_its_number_its_variables_and_its_log(tmp_path):
    run(tmp_path, "import os, sys; print(sys.argv[1:], os.environ['SHARE'])", replicas=3)
    logs = [(tmp_path / f"{number}.log").read_text().strip() for number in range(3)]
    assert logs == [f"['{number}', '3'] {number}" for number in range(3)]


def test_a_crash_shows_the_end_of_the_log_and_ends_the_others(tmp_path):
    code = (
        "import os, subprocess, sys, time\n"
        f"pids = {str(tmp_path / 'pids')!r}\n"
        "while sys.argv[1] == '0' and not os.path.exists(pids): time.sleep(0.05)\n"
        "if sys.argv[1] == '0': raise SystemExit('out of cookies')\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(pids + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename(pids + '.new', pids)\n"
        "time.sleep(600)"
    )
    with pytest.raises(ReplicaFailed, match=r"replica 0 ended with code 1(.|\n)*out of cookies"):
        run(tmp_path, code)
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        assert gone(pid)


def test_silence_is_given_up(tmp_path):
    with pytest.raises(ReplicaFailed, match="no task was finished for 1 seconds"):
        run(tmp_path, "import time; print('still loading', flush=True); time.sleep(600)", patience=1.0)


def test_progress_keeps_replicas_alive(tmp_path):
    ticks = iter(range(1000))
    run(tmp_path, "import time; time.sleep(2)", moved=lambda: next(ticks), patience=1.0)


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    worker = (
        "import threading, time\n"
        "from funreason_train.evaluate.serve.worker import end_with_parent\n"
        "threading.Thread(target=end_with_parent, daemon=True).start()\n"
        "time.sleep(600)"
    )
    parent = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-c', {worker!r}]\n"
        "p = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    try:
        assert psutil.pid_exists(pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(pid)
    finally:
        if not gone(pid, patience=0):
            os.kill(pid, signal.SIGKILL)


def gone(pid, patience=60):
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
        time.sleep(0.1)


def test_lines_are_counted_once_as_files_grow(tmp_path):
    counter = LineCounter([tmp_path])
    assert counter.update() == 0
    (tmp_path / "a.jsonl").write_text("1\n2\nhal")
    (tmp_path / "b.txt").write_text("1\n")
    assert counter.update() == 2
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("f\n")
    (tmp_path / "c.jsonl").write_text("1\n")
    assert counter.update() == counter.update() == 4


def test_each_replica_gets_gpus_of_its_own():
    assert devices({}, 4, 2, 2) == ["0,1", "2,3"]
    assert devices({"CUDA_VISIBLE_DEVICES": "5,7,GPU-ab"}, 8, 3, 1) == ["5", "7", "GPU-ab"]
