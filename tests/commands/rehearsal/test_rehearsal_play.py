"""Playing a cluster: steps in order, a host that fails and returns, nothing left behind.

Shell scripts take the place of frameworks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funreason_train.cluster.hosts import enter_rack, why_not
from funreason_train.cluster.hosts.host import marked
from funreason_train.commands.rehearsal.plan import Place, Step
from funreason_train.commands.rehearsal.play import Job, host_environment

ROOT = os.getuid() == 0
NAMESPACES = why_not(ROOT) is None
KINDS = ["loopback", *(["namespaces"] if NAMESPACES else [])]


def job(
    tmp_path: Path, kind: str, *scripts: tuple[str, int, str], fail: dict[str, str] | None = None
) -> Path:
    """Writes a job whose steps are shell scripts: stage, hosts, script."""
    steps = tuple(Step(stage, hosts, ("bash", "-c", script)) for stage, hosts, script in scripts)
    scratch = tmp_path / f"fr{os.getpid()}{tmp_path.name}"
    scratch.mkdir()
    root = tmp_path / "root"
    file = tmp_path / "job.json"
    Job(str(root), kind == "namespaces", 2, 16, str(scratch), steps, fail or {}).write(file)
    return file


def start(file: Path, kind: str) -> tuple[subprocess.Popen[str], int]:
    """Starts the player; the second value is our end of its lifeline."""
    lifeline, held = os.pipe()
    rack = enter_rack(ROOT) if kind == "namespaces" else []
    module = "funreason_train.commands.rehearsal.play"
    command = [*rack, sys.executable, "-m", module, str(file), str(lifeline)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=(lifeline,)
    )
    os.close(lifeline)
    return process, held


def play(file: Path, kind: str) -> tuple[int, str, dict[str, Any]]:
    process, held = start(file, kind)
    out, _ = process.communicate(timeout=300)
    os.close(held)
    return process.returncode, out, json.loads((file.parent / "root" / "rehearsal.json").read_text())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "the expected state was not reached"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_each_host_is_told_its_rank_and_the_head(tmp_path: Path, kind: str) -> None:
    say = "echo $NODE_RANK of $NNODES at $HEAD_ADDR"
    code, _, record = play(job(tmp_path, kind, ("sft", 2, say), ("eval", 1, "test -z $NNODES")), kind)
    assert code == 0 and record["done"] and record["network"] == kind
    place = Place(tmp_path / "root")
    head = "10.77.0.1" if kind == "namespaces" else "127.77.0.1"
    for rank in range(2):
        assert place.log("sft", rank).read_text() == f"{rank} of 2 at {head}\n"
    assert [step["stage"] for step in record["steps"]] == ["sft", "eval"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_step_ends_the_rehearsal_with_its_code_and_its_words(tmp_path: Path, kind: str) -> None:
    fails = "echo noise; if [ $NODE_RANK = 0 ]; then echo 'Error: no disk on 1@host1'; exit 2; fi"
    code, out, record = play(job(tmp_path, kind, ("sft", 2, fails), ("rl", 2, "exit 7")), kind)
    assert code == 2
    assert "host0: Error: no disk on 1@host1" in out and "noise" not in out
    assert [step["code"] for step in record["steps"]] == [2] and not record["done"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_is_switched_off_in_the_middle_and_comes_back_to_a_driver_that_waits(
    tmp_path: Path, kind: str
) -> None:
    """As SFT does: rank 0 goes on by itself once the other is there again."""
    place = tmp_path / "here"
    place.mkdir()
    script = f"""
        cd {place}; echo x >>started.$NODE_RANK
        if [ $NODE_RANK = 1 ]; then until [ -e finished ]; do sleep 0.1; done; exit 0; fi
        until [ -e started.1 ]; do sleep 0.1; done
        touch checkpoint
        until [ "$(wc -l <started.1)" = 2 ]; do sleep 0.1; done
        touch finished"""
    fail = {"sft": str(place / "checkpoint")}
    code, out, record = play(job(tmp_path, kind, ("sft", 2, script), fail=fail), kind)
    assert code == 0, out
    (step,) = record["steps"]
    assert step["failed_host"] and step["attempts"] == 1
    assert (place / "started.0").read_text() == "x\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_driver_that_fails_with_the_host_gets_the_same_command_again(tmp_path: Path, kind: str) -> None:
    """As RL does: the second command continues from the checkpoint."""
    place = tmp_path / "here"
    place.mkdir()
    script = f"""
        cd {place}; echo x >>started.$NODE_RANK
        if [ $NODE_RANK = 1 ]; then until [ -e left ]; do sleep 0.1; done; exit 0; fi
        if [ -e checkpoint ]; then touch left; exit 0; fi
        until [ -e started.1 ]; do sleep 0.1; done
        touch checkpoint
        until [ "$(wc -l <started.1)" = 2 ]; do sleep 0.1; done
        touch left; sleep 1; rm left; exit 1"""
    fail = {"rl": str(place / "checkpoint")}
    code, out, record = play(job(tmp_path, kind, ("rl", 2, script), fail=fail), kind)
    assert code == 0, out
    (step,) = record["steps"]
    assert step["failed_host"] and step["attempts"] == 2
    assert "the same command again" in out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["terminated", "lost"])
def test_whatever_ends_the_rehearsal_ends_its_hosts(tmp_path: Path, kind: str, how: str) -> None:
    held_open = "touch up.$NODE_RANK; setsid sleep 4716 & sleep 4717"
    file = job(tmp_path, kind, ("sft", 2, f"cd {tmp_path}; {held_open}"))
    mark = f"{Job.read(file).scratch.rpartition('/')[2]}.0"
    process, held = start(file, kind)
    until(lambda: (tmp_path / "up.0").exists() and (tmp_path / "up.1").exists())
    until(lambda: len(_sleeping()) == 2)
    sleeping = _sleeping()
    if how == "terminated":
        # Of a rack its first process has to be told; `unshare` passes no signal on.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]) if kind == "namespaces" else process.pid, signal.SIGTERM)
        process.communicate(timeout=300)
        os.close(held)
    else:
        os.close(held)  # as if the command had been killed outright
        process.communicate(timeout=300)
    until(lambda: not any(_is(Path(f"/proc/{pid}"), b"sleep\x004716\0") for pid in sleeping))
    assert kind == "namespaces" or not marked(mark)


def _sleeping() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if _is(entry, b"sleep\x004716\0")]


def _is(entry: Path, words: bytes) -> bool:
    try:
        return entry.name.isdigit() and (entry / "cmdline").read_bytes() == words
    except OSError:
        return False


def test_a_host_learns_nothing_of_another_cluster(tmp_path: Path) -> None:
    read = Job.read(job(tmp_path, "loopback", ("sft", 2, "true")))
    environ = {"RAY_ADDRESS": "10.0.0.1:6379", "SLURM_NODEID": "3", "WORLD_SIZE": "8", "MINE": "kept"}

    class Played:
        rank, name, address = 1, "host1", "127.77.0.2"

    host: Any = Played()
    found = host_environment(read, read.steps[0], host, host, environ)
    assert not {"RAY_ADDRESS", "SLURM_NODEID", "WORLD_SIZE"} & found.keys()
    assert found["MINE"] == "kept" and found["NODE_RANK"] == "1"
    assert "--num-gpus=1" in found["FUNREASON_RAY_ARGS"], "RL would wait for logical GPUs for ever"
