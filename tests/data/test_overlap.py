"""Decontamination: what overlaps with BFCL is turned away and says with what; the rest stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.check.decontaminate import Decontaminate
from funreason_train.data.check.overlap import Benchmark
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import AssistantStep, Trajectory, Turn
from funreason_train.environments.bfcl.documents import bfcl_folder

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
FOLDER = bfcl_folder()
shipped = pytest.mark.skipif(FOLDER is None, reason="bfcl-eval is not installed")

NOTE = "The annual report must reach the board of trustees before the last Friday of June"
STATE = {"FileSystem": {"root": {"docs": {"contents": {"note.txt": {"content": NOTE}}}}}}
ENTRY = {
    "id": "multi_turn_0",
    "question": [
        [
            {
                "role": "user",
                "content": "Move the final report into the temp folder and then make a backup of it",
            }
        ],
        [{"role": "user", "content": "Sort it by line please"}],
    ],
    "initial_config": STATE,
}
GOLD = {
    "id": "multi_turn_0",
    "ground_truth": [
        ["cd(folder='docs')", "mkdir(dir_name='temp')"],
        ["mv(source='a.pdf', destination='temp')"],
    ],
}
SINGLE = {
    "id": "simple_7",
    "ground_truth": [{"plan": {"city": ["Oslo"], "days": [3, 4], "note": [""], "stops": [["a b", "c d"]]}}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmark of one multi-turn entry and one single-turn gold call."""
    (tmp_path / "possible_answer").mkdir()
    (tmp_path / "BFCL_v4_multi_turn.json").write_text(json.dumps(ENTRY) + "\n")
    (tmp_path / "BFCL_v4_ids.json").write_text('{\n "simple": ["simple_7"]\n}\n')
    (tmp_path / "possible_answer" / "BFCL_v4_multi_turn.json").write_text(json.dumps(GOLD) + "\n")
    (tmp_path / "possible_answer" / "BFCL_v4_simple.json").write_text(json.dumps(SINGLE) + "\n")
    return tmp_path


def _chat(user: str = "Hello there", *calls: Call, result: str = "", **change: Any) -> Trajectory:
    steps = [AssistantStep("", calls, "", (result,) * len(calls))] if calls else []
    turn = Turn(user, (*steps, AssistantStep("", (), "Done.")))
    return Trajectory(**{"id": "i", "source": "s", "tools": (), "turns": (turn,), **change})


GREP = Call("grep", {"pattern": "x"})
OVERLAPS = {
    "question": _chat("Hi! Move the final report into the temp folder, and then make a copy."),
    "short question": _chat("sort it by LINE, please!"),
    "state in a result": _chat("Hello", GREP, result=f'{{"lines": "{NOTE}"}}'),
    "state in the system prompt": _chat(system=json.dumps(STATE["FileSystem"], indent=1)),
    "state in meta": _chat(meta={"initial_config": STATE}),
    "trace": _chat(
        "Tidy up",
        *(Call("cd", {"folder": "docs"}), Call("mkdir", {"dir_name": "temp"})),
        *(Call("mv", {"source": "a.pdf", "destination": "temp"}), GREP),
    ),
    "single-turn trace": _chat("Go", Call("plan", {"city": "Oslo", "days": 3, "stops": ["a b", "c d"]})),
}
CLEAN = {
    "other words": _chat("Move my final exam to another day and tell the teacher about it"),
    "a common opening": _chat("Move the final report into the archive of the year before last, unread"),
    "a short question with more to it": _chat("Sort it by line please, largest first"),
    "some calls of the trace": _chat("Tidy", Call("cd", {"folder": "docs"}), GREP),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_an_overlap_is_rejected(folder: Path, name: str) -> None:
    with pytest.raises(RowError) as caught:
        Decontaminate(folder, 8, 0.5)(OVERLAPS[name])
    assert caught.value.reason == "decontaminated"
    entry = "simple_7" if name.startswith("single") else "multi_turn_0"
    kind = "initial state" if name.startswith("state") else name.split()[-1]
    assert entry in caught.value.detail and kind in caught.value.detail


@pytest.mark.parametrize("name", CLEAN)
def test_the_rest_stays(folder: Path, name: str) -> None:
    Decontaminate(folder, 8, 0.5)(CLEAN[name])


def test_the_share_decides(folder: Path) -> None:
    half = _chat("Move the final report into the temp folder and wait")
    assert Benchmark.read(folder, 8).overlap(half, 0.5) is None
    assert "25% of the 8-grams" in str(Benchmark.read(folder, 8).overlap(half, 0.2))


@shipped
def test_every_question_and_trace_of_the_installed_benchmark_is_known() -> None:
    assert FOLDER is not None
    benchmark = Benchmark.read(FOLDER, 8)
    rows = [
        json.loads(line)
        for name in ("multi_turn_base", "live_simple", "parallel_multiple")
        for line in (FOLDER / f"BFCL_v4_{name}.json").open()
    ]
    texts = [
        message["content"]
        for row in rows
        for turn in row["question"]
        for message in turn
        if message["role"] == "user"
    ]
    long = [text for text in texts if len(text.split()) >= 12]
    assert len(long) > 800
    assert all(benchmark.overlap(_chat(text), 0.5) for text in long)
    states = [state for row in rows for state in row.get("initial_config", {}).values()]
    found = [benchmark.overlap(_chat("x", GREP, result=json.dumps(state)), 0.5) for state in states]
    assert sum(map(bool, found)) > 0.9 * len(states)  # the others are almost empty


@shipped
def test_reading_the_benchmark_runs_none_of_its_code() -> None:
    code = """if True:
        import sys
        from funreason_train.data.check.overlap import Benchmark
        from funreason_train.environments.bfcl.documents import bfcl_folder
        Benchmark.read(bfcl_folder(), 8)
        sys.exit("bfcl_eval" in sys.modules)
    """
    assert run([executable, "-c", code], check=False).returncode == 0


@shipped
def test_the_stage_lists_what_it_rejected(prepare: Prepare, tmp_path: Path) -> None:
    assert FOLDER is not None
    question = json.loads((FOLDER / "BFCL_v4_simple_python.json").open().readline())["question"][0][0][
        "content"
    ]
    tool = {"name": "f", "description": "", "parameters": {"x": {"type": "int"}}}
    shared = {"answers": '[{"name": "f", "arguments": {"x": 1}}]', "tools": json.dumps([tool])}
    rows = [{"id": 1, "query": question, **shared}, {"id": 2, "query": "What is f of 1?", **shared}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("data.datasets=[apigen]", f"data.apigen.path={tmp_path}/rows.jsonl")
    out, result = prepare(*words)
    assert result["sources"]["apigen"]["rejected"] == {"decontaminated": 1}
    line = json.loads((out / "rejected.jsonl").read_text())
    assert (line["id"], line["position"]) == ("1", "rows.jsonl:1")
    assert "question of BFCL simple_python_0" in line["detail"]
    _, result = prepare(*words, "data.decontaminate=off")
    assert result["sources"]["apigen"]["kept"] == 2
