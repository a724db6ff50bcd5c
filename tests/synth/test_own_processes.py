"""What a class of one's own starts, or ends, is its conversation's affair alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from funreason_train.calls import Call
from funreason_train.environments.hosted import HOSTS
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage
from funreason_train.synth.work.guard import environment_of

CLASS = """
import os, subprocess, sys
from typing import Any

class Starter:
    def __init__(self) -> None:
        self.started = 0

    def start_program(self) -> dict[str, int]:
        return self._start()

    def start_detached_program(self) -> dict[str, int]:
        return self._start(start_new_session=True)

    def _start(self, **how: Any) -> dict[str, int]:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", "{mark}"], **how)
        self.started += 1
        return {{"started": self.started}}

    def crash(self) -> dict[str, int]:
        os._exit(3)
"""


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The class above; the name of its module marks the programs that it starts."""
    name = f"starter_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(CLASS.format(mark=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield f"{name}:Starter"
    sys.modules.pop(name, None)
    HOSTS.close()


def running(path: str) -> list[str]:
    mark, found = path.partition(":")[0].encode(), []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in one.read_bytes().split(b"\0"):
                found.append(one.parent.name)
        except OSError:
            continue
    return found


def come_to(path: str, count: int) -> bool:
    """Whether as many run, soon: a program's command line stands in /proc only some time after its start."""
    until = time.monotonic() + 30
    while len(running(path)) != count and time.monotonic() < until:
        time.sleep(0.05)
    return len(running(path)) == count


def ends(path: str) -> bool:
    return come_to(path, 0)


def test_programs_end_with_the_conversation_that_started_them(starter: str) -> None:
    one, other = environment_of(starter, apart=True)(), environment_of(starter, apart=True)()
    for world in (one, other):
        world.reset({})
        assert world.call(Call("start_program", {})).ok and world.call(Call("start_detached_program", {})).ok
    assert come_to(starter, 4)
    one.reset({})
    assert come_to(starter, 2), "the other's go on"
    other.close()
    assert ends(starter)
    one.close()


def test_programs_are_gone_when_the_command_is_done(starter: str, tmp_path: Path) -> None:
    words = ("trajectories=4", "heldout_tasks=0", "tuning_tasks=0", "turns=1", "graph.episodes=2")
    more = ("graph.calls=6", "graph.measure=0", "kinds={plain: 1.0}", "processes=1")
    config = compose("synth", [*words, *more, f"environments=[{starter}]", f"out={tmp_path}/made"])
    assert stage.run(config, run_of(config, tmp_path / "run"))["conversations"] == 4
    assert ends(starter)


IN_A_SANDBOX = """
from funreason_train.synth.work.guard import environment_of
world = environment_of("{module}:Starter", apart=True)()
world.reset({{}})
for name in ("start_program", "start_detached_program"):
    assert world.call(Call(name, {{}})).ok
"""
WHERE_SAMPLES_ARE_MADE = """
import multiprocessing, os, {module}
from concurrent.futures import ProcessPoolExecutor
from funreason_train.synth.work.workers import NOTE, _start
context = multiprocessing.get_context("spawn")
told = (os.getpid(), True, context.RawArray("c", NOTE), context.Value("i", 0))
pool = ProcessPoolExecutor(1, context, initializer=_start, initargs=told)
pool.submit({module}.Starter().start_program).result()
pool.submit({module}.Starter().start_detached_program).result()
"""


@pytest.mark.parametrize("where", [IN_A_SANDBOX, WHERE_SAMPLES_ARE_MADE])
def test_programs_end_when_the_command_is_killed(starter: str, where: str) -> None:
    begun = where.format(module=starter.partition(":")[0])
    program = f"import time\nfrom funreason_train.calls import Call\n{begun}\nprint('begun', flush=True)\n"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}time.sleep(3600)"], env=variables, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None and command.stdout.readline() == "begun\n"
        assert come_to(starter, 2)
        command.kill()
    assert ends(starter)


def test_a_class_that_ends_its_process_in_a_thread_costs_one_conversation(starter: str) -> None:
    def crashed() -> tuple[str, str | None]:
        world = environment_of(starter, apart=True)()
        world.reset({})
        told = world.call(Call("crash", {})).text
        fault = world.fault
        world.close()
        return told, fault

    with ThreadPoolExecutor(4) as pool:  # as samples are made whose agents are models
        found = [future.result() for future in [pool.submit(crashed) for _ in range(4)]]
    sentence = (
        f"crash of {starter} ended its process (crash: the process that ran the calls ended with code 3)"
    )
    assert found == [(f"Error: {sentence}", sentence)] * 4
