"""The stage `synth`: what it writes, what it refuses, and that `data` reads back exactly what was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.commands.cli import main
from funreason_train.commands.line.loading import every_problem
from funreason_train.data.read.formats import funreason_mt
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import AssistantStep, Trajectory, Turn
from funreason_train.environments import read_tasks
from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import bfcl_world, stage
from funreason_train.synth.embedded import generate as embedded
from funreason_train.synth.rows import conversation_row

Synthesise = Callable[..., Path]
OPTIONS = {"error_tool_response": "keep", "tools_missing": "reject"}
SMALL = ("maker=embedded", "trajectories=40", "heldout_tasks=6", "tuning_tasks=5")


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "conversations.jsonl").open(encoding="utf-8")]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_it_writes_conversations_tasks_and_a_manifest_that_names_them(synthesise: Synthesise) -> None:
    folder = synthesise(*SMALL)
    found = digests(folder)
    assert set(found) == {
        *("conversations.jsonl", "manifest.json", "tasks/heldout.jsonl", "tasks/tuning.jsonl"),
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["outputs"] == {name: one for name, one in found.items() if name != "manifest.json"}
    assert len(rows(folder)) == 40
    assert len(list(read_tasks(folder / "tasks" / "heldout.jsonl"))) == 6
    assert len(list(read_tasks(folder / "tasks" / "tuning.jsonl"))) == 5


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(
    synthesise: Synthesise, tmp_path: Path
) -> None:
    again = stage.run(compose("synth", [f"run_dir={tmp_path}", *SMALL]), RunDir.at(tmp_path))["out"]
    assert digests(Path(again)) == digests(synthesise(*SMALL))
    assert digests(synthesise(*SMALL, "seed=1")) != digests(synthesise(*SMALL))


def test_data_reads_back_exactly_the_conversation_that_was_made() -> None:
    config = compose("synth").synth.embedded
    made = list(embedded.read({**config, "trajectories": 150}, 3))
    assert any(one.meta["demonstration"] for one in made)
    for one in made:
        read = funreason_mt.convert(json.loads(json.dumps(conversation_row(one))), OPTIONS)
        assert (read.id, read.turns, read.tools, read.meta) == (one.id, one.turns, one.tools, one.meta)
        assert [json.dumps(tool) for tool in read.tools] == [json.dumps(tool) for tool in one.tools]


ANSWERS = st.one_of(
    st.text(min_size=1),
    st.lists(st.text(), max_size=3).map(str),
    st.lists(st.text(), max_size=3).map(json.dumps),
    st.sampled_from(["['Error: log in']", "[]", "[['a']]", "['a', 'b']", " ['a'] ", "[1]", "['a'", "null"]),
)


@given(st.lists(ANSWERS, min_size=1, max_size=3))
def test_answers_of_tools_are_read_back_as_they_were(results: list[str]) -> None:
    tool = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
    asked = AssistantStep("", calls=(Call("look", {}),) * len(results), results=tuple(results))
    turn = Turn("Look.", (asked, AssistantStep("", text="Done.")))
    row = conversation_row(Trajectory("1", "synth", (tool,), (turn,)))
    read = funreason_mt.convert(json.loads(json.dumps(row)), OPTIONS)
    assert [step.results for step in read.turns[0].steps] == [tuple(results), ()]


def test_a_conversation_is_in_the_form_of_funreason_mt(synthesise: Synthesise) -> None:
    for row in rows(synthesise(*SMALL)):
        roles = [message["role"] for message in row["conversations"]]
        assert roles[:3] == ["system", "user", "assistant"] and set(roles) <= {*roles[:3], "tool"}
        answers = [m["content"] for m in row["conversations"] if m["role"] == "assistant"]
        assert all(answer.startswith("<think>") and "</think>\n\n" in answer for answer in answers)
        # The system prompt alone offers the same tools, for whoever reads no list.
        bare = funreason_mt.convert({"conversations": row["conversations"]}, OPTIONS)
        assert list(bare.tools) == row["tools"] and bare.system is None


def a_row() -> dict:
    config = compose("synth").synth.embedded
    made: Trajectory = next(
        one for one in embedded.read({**config, "trajectories": 50}, 3) if one.meta["demonstration"]
    )
    return json.loads(json.dumps(conversation_row(made)))


@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("task", 3, "is not a task"),
        ("task", {"id": "x"}, "is not a task"),
        ("kinds", ["call"], "does not have its form"),
        ("kinds", {"0.0": 1}, "does not have its form"),
        ("kinds", {"7.0": "call"}, "response 7.0, which is not there"),
        ("demonstration", {"0.0": {"thought": "", "calls": "f()", "text": ""}}, "does not have its form"),
        ("demonstration", {"0.0": {"thought": "", "calls": [{"name": "f"}], "text": ""}}, "does not have"),
        ("demonstration", {"0.0": {"thought": "", "calls": [], "text": ""}}, "does not have its form"),
    ],
)
def test_a_row_whose_other_part_was_changed_is_rejected(key: str, value: object, detail: str) -> None:
    row = a_row()
    row["synth"][key] = value
    with pytest.raises(RowError, match=detail) as caught:
        funreason_mt.convert(row, OPTIONS)
    assert caught.value.reason == "row_shape"


def test_a_task_that_is_not_the_conversations_is_rejected() -> None:
    row = a_row()
    row["synth"]["task"]["turns"][0]["user"] += " Please."
    with pytest.raises(RowError, match="other messages or calls"):
        funreason_mt.convert(row, OPTIONS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["maker=embeded"], "Did you mean embedded?"),
        (["trajectories=0"], "synth.trajectories=0: must be a whole number of at least 1"),
        (["heldout_tasks=-1"], "synth.heldout_tasks=-1: must"),
        (["embedded.categories.single=-1"], "synth.embedded.categories.single=-1: must"),
        (["embedded.errors.guess_value=2"], "must be a number from 0 to 1"),
        (
            [
                "embedded.categories={single: 0, chain: 0, follow_up: 0, parallel: 0,"
                " missing: 0, no_tool: 0, mixed: 0}"
            ],
            "one of them must be above 0",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(words: list[str], sentence: str, tmp_path: Path) -> None:
    words = [f"run_dir={tmp_path}", "maker=embedded", *words]
    (problem,) = map(str, every_problem(compose("synth", words), "synth"))
    assert sentence in problem
    assert main(["synth", *words]) == 2
    assert not RunDir.at(tmp_path).synth.exists()


def test_without_bfcl_eval_the_maker_says_so_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bfcl_world, "bfcl_folder", lambda: None)
    config = compose("synth", ["maker=bfcl_world"])
    (problem,) = map(str, stage.check(config, RunDir.at(tmp_path)))
    assert "maker=bfcl_world: it needs bfcl-eval" in problem


def test_files_of_others_are_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    config = compose("synth", [*SMALL, f"out={out}"])
    with pytest.raises(UserError, match="did not create"):
        stage.run(config, run_of(config, tmp_path / "run"))
    assert (out / "thesis.tex").read_text() == "years of work"
