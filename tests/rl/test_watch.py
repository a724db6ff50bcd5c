"""The trainer waits for nothing that a dead process owes it."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from funreason_train.rl.train.liveness import Watch, _dead, _well

QUICK = {"every": 0.01, "own_way": 0.05, "insist": 0.1, "patience": 30.0}


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Python's own handling of Ctrl-C, which a command in the background of a shell does not begin with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Ray:
    """Stands in for Ray with one actor, which is dead from the third look on."""

    def __init__(self, looks: int = 2) -> None:
        self.looks, self.asked = looks, 0
        self.__ray_call__ = self

    def remote(self, *_: Any) -> Any:
        self.asked += 1
        return object()

    def wait(self, answers: Any, num_returns: Any, timeout: Any) -> Any:
        if not answers:
            raise ValueError("as Ray does")
        return list(answers), []

    def get(self, answer: Any) -> None:
        if self.asked > self.looks:
            raise RuntimeError("the actor died")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    actor = Ray()
    monkeypatch.setitem(sys.modules, "ray", actor)
    return actor


def forever() -> None:
    """As a call of Ray that nobody answers."""
    assert threading.Event().wait(60), "nobody ended the waiting"


def test_waiting_for_a_dead_process_ends(ray: Ray) -> None:
    said = "a process of the training has died: the actor died"
    with pytest.raises(RuntimeError, match=said), Watch(**QUICK) as watch:
        watch.add([ray])
        forever()


def test_it_ends_in_the_middle_of_a_coroutine_too(ray: Ray) -> None:
    """verl sends weights in one that does not wait with `await`."""

    async def send() -> None:
        forever()

    with pytest.raises(RuntimeError, match="the actor died"), Watch(**QUICK) as watch:
        watch.add([ray])
        asyncio.run(send())


def test_what_the_trainer_finds_by_itself_is_what_is_told(ray: Ray) -> None:
    with pytest.raises(ValueError, match="its own words"), Watch(**{**QUICK, "own_way": 30.0}) as watch:
        watch.add([ray])
        while watch.found is None:
            pass
        raise ValueError("its own words")


def test_ctrl_c_stays_what_it_is(ray: Ray) -> None:
    ray.looks = 10**9
    with pytest.raises(KeyboardInterrupt), Watch(**QUICK) as watch:
        watch.add([ray])
        raise KeyboardInterrupt


def test_a_training_that_is_over_is_left_alone(ray: Ray) -> None:
    with Watch(**{**QUICK, "own_way": 0.3}) as watch:
        watch.add([ray])
        while watch.found is None:
            pass
    assert not threading.Event().wait(0.6), "no signal comes afterwards"


def test_tidying_up_ends_processes_and_takes_its_time(ray: Ray) -> None:
    with Watch(**QUICK) as watch:
        watch.add([ray])
        watch.end()
        ray.looks = 0
        assert not threading.Event().wait(0.5), "no signal comes"


def test_one_that_takes_no_notice_is_ended() -> None:
    program = (
        "import signal, sys, threading\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from rl.test_watch import QUICK, Ray\n"
        "from funreason_train.rl.train.liveness import Watch\n"
        "sys.modules['ray'] = actor = Ray()\n"
        "with Watch(**{**QUICK, 'patience': 0.5}) as watch:\n"
        "    watch.add([actor])\n"
        "    threading.Event().wait(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 1 and "the actor died" in done.stderr


def test_only_a_death_ends_a_run() -> None:
    from ray import exceptions

    assert _dead(exceptions.ActorDiedError()) and _dead(RuntimeError("the engine has died"))
    assert not _dead(exceptions.ActorUnavailableError("busy", None)) and not _dead(
        ValueError("asked wrongly")
    )


def test_the_engine_behind_a_server_is_looked_after() -> None:
    _well(SimpleNamespace())
    _well(SimpleNamespace(engine=SimpleNamespace(errored=False)))
    with pytest.raises(RuntimeError, match="rollout engine has died"):
        _well(SimpleNamespace(engine=SimpleNamespace(errored=True)))
