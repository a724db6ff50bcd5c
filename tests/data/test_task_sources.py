"""Executable tasks as a source: a user's own and the generated ones in BFCL's environments, gold executed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from funreason_train.calls import Call, render_calls
from funreason_train.data.read.formats import tasks as task_source
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import render_target
from funreason_train.environments import Task, TaskTurn, play, read_tasks
from funreason_train.environments.bfcl.documents import bfcl_folder
from funreason_train.errors import UserError
from funreason_train.synth import bfcl_world
from funreason_train.synth.embedded.generate import tasks as own_tasks

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
FOLDER = bfcl_folder()
shipped = pytest.mark.skipif(FOLDER is None, reason="bfcl-eval is not installed")
EVERY = dict.fromkeys(bfcl_world.CATEGORIES, 1.0)

DESK = {
    "id": "desk-1",
    "environment": "bfcl/TicketAPI+MathAPI",
    "config": {"TicketAPI": {"ticket_queue": [], "ticket_counter": 70, "current_user": "Ann"}},
    "turns": [
        {
            "user": "Open a ticket about the draughty window in the reading room, as urgent as can be.",
            "steps": [[{"name": "create_ticket", "arguments": {"title": "Draughty window", "priority": 5}}]],
            "text": "It has number 70.",
        },
        {
            "user": "And what is 3 plus 4?",
            "steps": [[{"name": "add", "arguments": {"a": 3, "b": 4}}]],
            "text": "7.",
        },
    ],
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tasks_in(out: Path) -> list[Task]:
    found = pq.read_table(out / "rl" / "env_train.parquet").to_pylist()
    return [Task.from_json(json.loads(row["extra_info"]["task"])) for row in found]


def words(path: Path) -> tuple[str, ...]:
    return ("data.datasets=[tasks]", f"data.tasks.path={path}", "data.val_share=0")


@shipped
def test_tasks_of_ones_own_become_rollout_rows_and_conversations(prepare: Prepare, tmp_path: Path) -> None:
    mine = [task.to_json() for task in own_tasks("train", 3, 1, {"chain": 1.0})]
    out, result = prepare(*words(write(tmp_path / "mine.jsonl", DESK, *mine)))
    assert result["environment"]["train"] == 4 and result["sources"]["tasks"]["kept"] == 4
    first = next(task for task in tasks_in(out) if task.id == "desk-1")
    assert len(first.tools) == 26, "all functions of both classes, where the task names none"
    assert first.category == "own" and first.environment == "bfcl/TicketAPI+MathAPI"
    steps = {row["extra_info"]["id"]: row for row in pq.read_table(out / "rl" / "train.parquet").to_pylist()}
    shown = steps["desk-1/1.1"]["prompt"]
    assert [message["role"] for message in shown] == (
        ["system", "user", "assistant", "tool", "assistant", "user", "assistant", "tool"]
    )
    assert '\'{"id": 70, "title": "Draughty window"' in shown[3]["content"].replace("\\'", "'")
    assert shown[-1]["content"] == "['{\"result\": 7}']"


@shipped
def test_a_parquet_may_hold_nested_fields_as_json_text(prepare: Prepare, tmp_path: Path) -> None:
    row = {key: json.dumps(value) if key in ("config", "turns") else value for key, value in DESK.items()}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "mine.parquet")
    out, _ = prepare(*words(tmp_path / "mine.parquet"))
    (task,) = tasks_in(out)
    assert task.config == DESK["config"]


def changed(**change: Any) -> dict[str, Any]:
    return {**DESK, **change}


def calling(name: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"user": "Hm?", "steps": [[{"name": name, "arguments": arguments}]], "text": "Done."}]


@shipped
def test_what_cannot_be_played_or_whose_gold_fails_is_rejected_with_its_reason(
    prepare: Prepare, tmp_path: Path
) -> None:
    bad = [
        (changed(environment="bfcl/Nothing"), "unplayable", "BFCL has no class 'Nothing'"),
        (changed(environment="moon"), "unplayable", "there is no environment moon"),
        (changed(config={"MathAPI": {}, "TwitterAPI": {}}), "unplayable", "has no class TwitterAPI"),
        (changed(config={"TicketAPI": [1]}), "unplayable", "cannot be loaded"),
        (changed(turns=calling("close_ticket", ticket_id=1)), "gold_error", "Ticket with ID 1 not found"),
        (changed(turns=calling("add", a=1)), "gold_error", "missing 1 required positional argument"),
        (changed(turns=calling("_load_scenario", scenario={})), "gold_error", "is not defined"),
        (changed(tools=["rm"]), "missing_field", "lacks 'rm'"),
        (changed(turns=[]), "missing_field", "no user turn"),
        (changed(turns=[{"user": "Hm?"}]), "missing_field", "lacks 'steps'"),
        (changed(turns=3), "row_shape", "not a task"),
        ([1], "row_shape", "not an object"),
        # The world accepts it, its documented schema does not.
        (changed(turns=calling("add", a=1, b=True)), "argument_type", "add.b is boolean"),
    ]
    rows = write(tmp_path / "mine.jsonl", DESK, *(row for row, _, _ in bad))
    out, result = prepare(*words(rows), "data.max_rejected_share=1")
    assert result["sources"]["tasks"]["kept"] == 1
    lines = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    for line, (_, reason, detail) in zip(lines, bad, strict=True):
        assert line["reason"] == reason and detail in line["detail"], line


@shipped
def test_bfcls_own_entries_are_rejected(prepare: Prepare, tmp_path: Path) -> None:
    assert FOLDER is not None
    entry = next(
        row
        for row in map(json.loads, (FOLDER / "BFCL_v4_multi_turn_base.json").open())
        if row["involved_classes"] == ["GorillaFileSystem"]
    )
    look = [{"user": "What is there?", "steps": [[{"name": "ls", "arguments": {}}]], "text": "Files."}]
    stolen = {
        "id": "state",
        "environment": "bfcl/GorillaFileSystem",
        "config": entry["initial_config"],
        "turns": look,
    }
    asked = [{**look[0], "user": message["content"]} for turn in entry["question"] for message in turn]
    world = {"GorillaFileSystem": {"root": {"hut": {"type": "directory", "contents": {}}}}}
    question = {**stolen, "id": "question", "config": world, "turns": asked}
    kept = {**question, "id": "kept", "turns": look}
    _, result = prepare(*words(write(tmp_path / "mine.jsonl", stolen, question, kept)))
    assert result["sources"]["tasks"]["rejected"] == {"decontaminated": 2}


def replies(task: Task) -> list[str]:
    return [
        render_target("I think.", answer)
        for turn in task.turns
        for answer in (*map(render_calls, turn.steps), turn.text)
    ]


@shipped
def test_the_generated_tasks_are_kept_and_solved_by_their_gold(
    prepare: Prepare, synthesise: Callable[..., Path]
) -> None:
    made = synthesise("maker=bfcl_world", "trajectories=60", "heldout_tasks=20", "tuning_tasks=0")
    out, result = prepare(
        "data.datasets=[synth]", "data.val_share=0", f"data.synth.path={made}/conversations.jsonl"
    )
    account = result["sources"]["synth"]
    # Requests are short and often the same; that none is BFCL's is the point.
    assert set(account["rejected"]) <= {"duplicate"} and account["kept"] > 40
    found = [task for task in tasks_in(out) if task.environment.startswith("bfcl/")]
    assert {task.environment for task in found} == {
        f"bfcl/{name}" for name in ("GorillaFileSystem", "TicketAPI", "MathAPI", "GorillaFileSystem+MathAPI")
    }
    assert {task.category for task in found} == set(EVERY)
    for task in found:
        answers = iter(replies(task))
        assert play(task, partial(lambda answers, _: next(answers), answers)).right
    kept_apart = list(read_tasks(made / "tasks" / "heldout.jsonl"))
    assert len(kept_apart) == 20
    texts = [json.dumps(task.config) for task in found]
    stems = {name for task in kept_apart for name in words_of(task.config.get("GorillaFileSystem", {}))}
    assert stems and not any(f'"{stem}"' in text for stem in stems for text in texts)


def words_of(value: Any) -> set[str]:
    """The files' names in a state."""
    if not isinstance(value, dict):
        return set()
    return {key for key in value if key.endswith(".txt")} | {
        n for one in value.values() for n in words_of(one)
    }


@shipped
def test_an_item_depends_on_the_seed_and_its_number_alone() -> None:
    many, few = (list(bfcl_world.tasks("tuning", count, 3, EVERY)) for count in (12, 5))
    assert many[:5] == few
    assert few != list(bfcl_world.tasks("tuning", 5, 4, EVERY))


@shipped
def test_a_category_whose_gold_always_fails_is_told_and_not_drawn_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_file(world: Any) -> Any:
        return (bfcl_world.FILES,), [
            TaskTurn("Read it.", ((Call("cat", {"file_name": "no.txt"}),),), "Done.")
        ]

    monkeypatch.setitem(bfcl_world.CATEGORIES, "single", (no_file,))
    with pytest.raises(UserError, match=r"category single can be solved.*cat: .*No such file"):
        list(bfcl_world.tasks("train", 1, 0, {"single": 1.0}))


def test_a_field_that_is_no_json_text_costs_its_row() -> None:
    for text, reason in (('{"TicketAPI": ', "invalid_json"), ('{"TicketAPI": NaN}', "not_finite")):
        with pytest.raises(RowError) as caught:
            task_source.convert({**DESK, "config": text}, {})
        assert caught.value.reason == reason
