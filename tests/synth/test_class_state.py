"""Classes that keep something in their module or in themselves, as counters of ids often do."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.settings.compose import compose
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.workers import in_processes

COUNTED = '''
import itertools


class Desk:
    """Takes orders."""
    numbers = itertools.count(1)

    def __init__(self) -> None:
        self.orders = {}

    def take_order(self, dish: str) -> dict:
        """Take an order for a dish."""
        number = f"N{next(Desk.numbers)}"
        self.orders[number] = dish
        return {"number": number, "taken": len(self.orders)}

    def serve_order(self, number: str) -> dict:
        """Serve an order."""
        return {"served": self.orders.pop(number)}
'''
KEPT = '''
class Plain:
    """Counts."""
    def __init__(self) -> None:
        self.count = 0

    def count_up(self, by: int) -> int:
        """Count up by some number."""
        self.count += by
        return self.count
'''
IN_CONSTRUCTOR = '''
class Ticket:
    """A ticket."""
    last = 0

    def __init__(self) -> None:
        Ticket.last += 1
        self.number, self.stamps = Ticket.last, []

    def stamp(self, town: str) -> dict:
        """Stamp it in a town."""
        self.stamps.append(town)
        return {"number": self.number, "stamps": len(self.stamps)}
'''


def synthesise(folder: Path, path: str, processes: int) -> bytes:
    words = (
        *("trajectories=6", "heldout_tasks=0", "tuning_tasks=0", "turns=2", f"environments=[{path}]"),
        *("graph.episodes=6", "graph.calls=12", "graph.measure=0", "kinds={plain: 1.0}"),
    )
    settings: Any = OmegaConf.to_container(compose("synth", list(words)).synth, resolve=True)
    Phases(settings, 0, folder, partial(in_processes, processes=processes)).run()
    return (folder / "conversations.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("source", "name", "tells"), [(COUNTED, "Desk", "take_order"), (IN_CONSTRUCTOR, "Ticket", "start")]
)
def test_a_class_that_counts_its_ids_makes_the_same_rows_whatever_was_made_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, source: str, name: str, tells: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"counted_{name.lower()}"
    (tmp_path / f"{module}.py").write_text(source)
    try:
        rows = synthesise(tmp_path / "one", f"{module}:{name}", 1)
        told = capsys.readouterr().out
        assert "keeps something beyond its objects" in told and tells in told
        assert rows == synthesise(tmp_path / "two", f"{module}:{name}", 2)
        for line in rows.decode().splitlines():  # as a new process answers
            answers = [one["content"] for one in json.loads(line)["conversations"] if one["role"] == "tool"]
            assert any('"N1"' in one or '"number": 1' in one for one in answers)
    finally:
        sys.modules.pop(module, None)


def test_one_that_keeps_all_in_its_objects_is_made_without_processes_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "kept_plain.py").write_text(KEPT)
    try:
        assert synthesise(tmp_path / "out", "kept_plain:Plain", 1).count(b"\n") == 6
        assert "beyond its objects" not in capsys.readouterr().out
    finally:
        sys.modules.pop("kept_plain", None)


LENIENT = '''
class Shelf:
    """Keeps things."""
    def __init__(self, things: dict) -> None:
        self.things = dict(things)

    @staticmethod
    def scenario(random, size: int) -> dict:
        return {"things": {f"T{random.randint(10, 99)}": "box" for _ in range(size)}}

    def list_things(self) -> list:
        """List the things."""
        return [{"thing": one} for one in self.things]

    def add_thing(self, thing: str) -> str:
        """Add a thing."""
        self.things[thing] = "bag"
        return thing

    def remove_thing(self, thing: str) -> str:
        """Remove a thing."""
        self.things.pop(thing, None)
        return "Removed."
'''


def test_what_was_never_there_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tools say that they have removed what they did not have; a row would say so too."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lenient_shelf.py").write_text(LENIENT)
    removed = 0
    try:
        rows = synthesise(tmp_path / "out", "lenient_shelf:Shelf", 1).decode()
    finally:
        sys.modules.pop("lenient_shelf", None)
    for task in (json.loads(line)["synth"]["task"] for line in rows.splitlines()):
        there = set(task["config"]["things"])
        for call in (call for turn in task["turns"] for step in turn["steps"] for call in step):
            thing = call["arguments"].get("thing")
            if call["name"] == "remove_thing":
                assert thing in there
                removed += 1
                there.discard(thing)
            elif thing is not None:
                there.add(thing)
    assert removed >= 3
