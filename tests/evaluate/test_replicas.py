"""Replicas: errors are told, silence is noticed, and nothing is left running."""

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from funreason_train.errors import UserError
from funreason_train.evaluate.serve.replicas import LineCounter, ReplicaFailed, devices, run_replicas


def work(share: Any) -> None:
    """What the replicas of these tests do: the job is a program."""
    exec(share["job"], {"share": share})  # noqa: S102


def run(tmp_path: Path, code: Any, replicas: int = 2, moved: Any = lambda: 0, patience: float = 60.0) -> None:
    folders = f"{Path(__file__).parents[2]}{os.pathsep}{Path(__file__).parent}"
    run_replicas(
        "test_replicas:work",
        code,
        [{"SHARE": str(number), "PYTHONPATH": folders} for number in range(replicas)],
        lambda number: tmp_path / f"{number}.log",
        moved,
        patience,
    )


def test_each_replica_has_its_number_its_variables_and_its_log(tmp_path: Path) -> None:
    code = "import os; print(share['replica'], share['replicas'], os.environ['SHARE'])"
    run(tmp_path, code, replicas=3)
    logs = [(tmp_path / f"{number}.log").read_text().strip() for number in range(3)]
    assert logs == [f"{number} 3 {number}" for number in range(3)]


def test_a_user_s_mistake_comes_home_as_one(tmp_path: Path) -> None:
    code = (
        "from funreason_train.errors import UserError\n"
        "raise UserError('has no tokenizer', where='m', fix='Add one')"
    )
    with pytest.raises(UserError, match=r"m: has no tokenizer\. Add one"):
        run(tmp_path, code)


def test_a_crash_shows_the_end_of_the_log_and_ends_the_others(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        f"pids = {str(tmp_path / 'pids')!r}\n"
        "while share['replica'] == 0 and not os.path.exists(pids): time.sleep(0.05)\n"
        "if share['replica'] == 0: raise SystemExit('out of cookies')\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(pids + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename(pids + '.new', pids)\n"
        "time.sleep(600)"
    )
    with pytest.raises(ReplicaFailed, match=r"replica 0 ended with code 1(.|\n)*out of cookies"):
        run(tmp_path, code)
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        assert gone(pid)


def test_silence_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ReplicaFailed, match="no task was finished for 1 seconds"):
        run(tmp_path, "import time; print('still loading', flush=True); time.sleep(600)", patience=1.0)


def test_progress_keeps_replicas_alive(tmp_path: Path) -> None:
    ticks = iter(range(1000))
    run(tmp_path, "import time; time.sleep(2)", moved=lambda: next(ticks), patience=1.0)


def gone(pid: Any, patience: int = 60) -> bool:
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


def test_lines_are_counted_once_as_files_grow(tmp_path: Path) -> None:
    counter = LineCounter([tmp_path])
    assert counter.update() == 0
    (tmp_path / "a.jsonl").write_text("1\n2\nhal")
    (tmp_path / "b.txt").write_text("1\n")
    assert counter.update() == 2
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("f\n")
    (tmp_path / "c.jsonl").write_text("1\n")
    assert counter.update() == counter.update() == 4


def test_each_replica_gets_gpus_of_its_own() -> None:
    assert devices({}, 4, 2, 2) == ["0,1", "2,3"]
    assert devices({"CUDA_VISIBLE_DEVICES": "5,7,GPU-ab"}, 8, 3, 1) == ["5", "7", "GPU-ab"]
