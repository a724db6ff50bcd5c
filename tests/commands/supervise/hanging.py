"""A stage whose second process hangs at a place of its own name; run by `test_hangs`."""

from __future__ import annotations

import multiprocessing
import os
import time
from typing import Any

from funreason_train.run import progress
from funreason_train.run.beat import IDLE, Work, beat

FOREVER = 3600.0


def stuck() -> None:
    time.sleep(FOREVER)


def data_loading() -> None:
    stuck()


def forward() -> None:
    stuck()


def collective() -> None:
    stuck()


def checkpoint_save() -> None:
    stuck()


def reward() -> None:
    stuck()


def environment_call() -> None:
    stuck()


def rollout() -> None:
    stuck()


def weight_sync() -> None:
    stuck()


def export() -> None:
    stuck()


def evaluation() -> None:
    stuck()


#: Place -> who is there: ranks in step, workers that may be idle, or the stage alone.
PLACES = {
    **dict.fromkeys(("data_loading", "forward", "collective", "checkpoint_save"), "ranks"),
    **dict.fromkeys(("reward", "environment_call", "rollout", "weight_sync"), "agents"),
    **dict.fromkeys(("export", "evaluation"), "stage"),
}


def run(place: str) -> dict[str, Any]:
    """The stage: three healthy steps, then one process hangs, and those that wait for it go on saying so."""
    if PLACES[place] == "stage":
        for step in range(1, 4):
            progress.report(step, 10, place)
            time.sleep(0.3)
        globals()[place]()
    target = _rank if PLACES[place] == "ranks" else _agent
    children = [multiprocessing.Process(target=target, args=(number, place)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return {}


def _rank(number: int, place: str) -> None:
    for step in range(1, 4):
        beat(f"training.{number}", "step", step)
        time.sleep(0.3)
    if number == 1:
        beat("training.1", place, 3)
        globals()[place]()
    beat(f"training.{number}", "step", 4)
    stuck()  # the others wait for it in a collective


def _agent(number: int, place: str) -> None:
    work = Work("agent")
    for _ in range(3):
        work.begins("sample")
        time.sleep(0.1)
        work.ends("sample")
    if number == 1:
        work.begins(place)
        globals()[place]()
    if number == 0:
        beat(f"training.{os.getpid()}", IDLE, 3)
        stuck()
    while True:  # a third one goes on with other samples
        work.at("sample")
        time.sleep(0.2)
