"""A task whose environment failed is neither right nor wrong, and is played again by the same command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from environments.breaking import install
from evaluate.scripted import SAMPLING, TASKS, Scripted, encode, gold, render

from funreason_train.environments import Limits
from funreason_train.errors import UserError
from funreason_train.evaluate import results
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.heldout import Rules, play_tasks
from funreason_train.evaluate.play import dump
from funreason_train.evaluate.tasks import _broken
from funreason_train.pages.comparison import compare

SHOPS = [task for task in TASKS if task.environment == "shop" and task.turns[0].steps][:2]
WELL = [task for task in TASKS if task.environment != "shop"][:6]
BROKEN = [replace(task, environment="breaking") for task in SHOPS]
ANSWERS = {task.id: gold(task) for task in [*WELL, *SHOPS]}


def play(tasks: Any) -> list[dict[str, Any]]:
    rules = Rules("compact", Limits())
    found = {
        row["id"]: row for row in play_tasks(tasks, Scripted(ANSWERS), render, encode, SAMPLING, rules, 4)
    }
    return [found[task.id] for task in tasks]


@pytest.mark.parametrize(("place", "skip"), [("reset", 0), ("call", 0), ("raise", 0)])
def test_it_is_counted_apart_and_kept(tmp_path: Path, place: str, skip: int) -> None:
    install(place, skip)
    played = play([*WELL, *BROKEN])
    broken = results.faults([played])
    assert set(broken) == {task.id for task in BROKEN}
    scores = results.write(tmp_path, [played], Attempts(), {}, broken)
    assert (scores["accuracy"], scores["tasks"], scores["broken_tasks"]) == (1.0, len(WELL), len(BROKEN))
    assert results.verdicts(tmp_path / "episodes.jsonl").keys() == {task.id for task in WELL}
    kept = [json.loads(line) for line in (tmp_path / "broken.jsonl").read_text().splitlines()]
    assert [row["id"] for row in kept] == [task.id for task in BROKEN] and all(row["fault"] for row in kept)
    table = compare({"model": scores}, {"model": results.verdicts(tmp_path / "episodes.jsonl")})
    assert "2 further tasks are counted apart" in " ".join(table.notes)


def test_what_was_played_again_and_well_counts(tmp_path: Path) -> None:
    install("call")
    with (tmp_path / "replica0.jsonl").open("w") as file:
        file.writelines(map(dump, play(BROKEN)))
    assert all("fault" in row for row in results.finished(tmp_path).values())
    install("call", skip=100)
    again = play(BROKEN)
    (tmp_path / "replica1.jsonl").write_text("".join(map(dump, again[:1])))
    found = results.finished(tmp_path)
    assert found[BROKEN[0].id]["right"] and "fault" in found[BROKEN[1].id]
    (tmp_path / "a.jsonl").write_text("".join(map(dump, again[1:])))  # whichever file is read first
    assert all(row["right"] for row in results.finished(tmp_path).values())


def test_too_many_of_them_and_there_are_no_scores() -> None:
    install("call")
    played = {"base": [play([*WELL, *BROKEN])]}
    names = [task.id for task in [*WELL, *BROKEN]]
    assert len(_broken(played, names, 0.5)) == 2
    with pytest.raises(UserError, match=r"failed in 2 of 8 tasks \(environment_faults\).*no answer"):
        _broken(played, names, 0.2)
