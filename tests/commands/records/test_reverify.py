"""`reverify`: stored answers scored again, what changed, and that nothing grows with their number."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from commands.records.recorded import GOLD, RIGHT, WRONG, finished, rollout, stage, write

from funreason_train.commands.cli import main
from funreason_train.reward import own
from funreason_train.run.fingerprint import digest_file
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir


def again(capsys: pytest.CaptureFixture[str], run: RunDir, *words: str) -> dict:
    code = main(["reverify", str(run.root), "--json", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    found: dict = json.loads(out)
    return found


def test_a_fixed_reward_shows_what_it_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the four stored samples the third was right and scored 0; the fourth was cut off and stays wrong."""
    run = finished(tmp_path / "run")
    found = again(capsys, run)
    assert found["reward"]["variant"] == "binary", "that of the run, since none was named"
    assert found["answers"] == 4 and found["changed"] == 1
    assert found["changes"] == [{"of": "rollouts", "before": "values", "after": "right", "answers": 1}]
    (line,) = [json.loads(one) for one in (run.root / "reverify" / "changes.jsonl").read_text().splitlines()]
    assert line["row"] == "r3" and (line["before"], line["after"]) == (0.0, 1.0) and line["answer"] == RIGHT
    assert "Why scores changed" in (run.root / "reverify" / "table.md").read_text()
    assert json.loads((run.root / "reverify" / "summary.json").read_text())["changed"] == 1


def test_nothing_stored_is_passed_over_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    file = run.rl / "rollouts" / "1.jsonl"
    lines = file.read_text().splitlines()
    episode = {"turn": 0, "reasons": [], "environment_fault": 1.0, "score": 0.0}
    faulty = json.dumps({**json.loads(lines[0]), **episode})
    cut = [*lines[:2], '{"answer": "[f(', '{"answer": "x", "score": null}', "[]", faulty, *lines[2:]]
    file.write_text("\n".join(cut) + "\n")
    found = again(capsys, run)
    assert (found["answers"], found["changed"]) == (4, 1)
    assert found["unjudged"] == {
        "their lines are damaged": 2,
        "their lines hold no answer with a score": 1,
        "their environment failed": 1,
    }
    (line,) = [json.loads(one) for one in (run.root / "reverify" / "changes.jsonl").read_text().splitlines()]
    assert line["where"] == "1.jsonl:7", "lines are counted as an editor counts them"


def test_another_reward_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    found = again(capsys, run, "reward=partial")
    (category,) = found["categories"]
    assert found["reward"]["variant"] == "partial"
    assert category["gained"] == 2 and category["lost"] == 0 and category["after"] > category["before"]
    assert main(["reverify", str(run.root), "reward=partial", "examples=1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 of 4 scores changed" in out and "1.jsonl:3 (r3)" in out


def test_a_function_of_ones_own_and_one_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    mine = write(
        tmp_path / "mine.py",
        "def half(data_source, solution_str, ground_truth, extra_info=None):\n    return 0.5\n"
        "def bad(data_source, solution_str, ground_truth, extra_info=None):\n    raise ValueError\n",
    )
    found = again(capsys, run, f"reward={mine}:half")
    assert found["changed"] == 3 and {one["after"] for one in found["changes"]} == {"own function"}
    found = again(capsys, run, f"reward={mine}:bad")
    assert {one["after"] for one in found["changes"]} == {"the function failed"}
    assert main(["reverify", str(run.root), f"reward={mine}:none"]) == 2
    assert "defines no function none" in capsys.readouterr().err


@pytest.mark.parametrize("first", ["import no_such_package", "raise SystemExit(0)", "1 / 0"])
def test_a_file_that_cannot_be_run_scores_nothing(
    first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `sys.exit()` at its top level the command used to end in silence, with code 0."""
    run = finished(tmp_path / "run")
    name = f"f{len(first)}.py"  # what was loaded is remembered by its path
    file = write(tmp_path / name, f"{first}\ndef mine(data_source, solution_str, **more):\n    return 1\n")
    assert main(["reverify", str(run.root), f"reward={file}:mine"]) == 2
    assert "the file of the reward function cannot be run" in capsys.readouterr().err
    assert not (run.root / "reverify").exists()


def test_a_function_that_ends_the_program_fails(tmp_path: Path) -> None:
    file = write(tmp_path / "ends.py", "def mine(**row):\n    raise SystemExit(3)\n")
    found = own.score("a", "b", "c", function=f"{file}:mine")
    assert found == {"score": 0.0, "error": 1.0}


def test_lines_of_another_shape_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    odd = [
        rollout(5, RIGHT, float("nan"), "right"),
        rollout(6, RIGHT, 1, "right").replace('"score": 1', f'"score": 1{"0" * 400}'),
        rollout(7, RIGHT, 1.0, "right", turn=[1]),
        "[" * 100_000 + "\n",
    ]
    with (run.rl / "rollouts" / "1.jsonl").open("a") as file:
        file.writelines(odd)
    right = {"id": "t", "right": True, "turns": [{"responses": [], "reasons": []}]}
    tasks = [{"id": "a", "turns": [{"responses": 3}]}, {"id": "b", "turns": [], "reasons": {"a": 1}}, right]
    write(run.eval("rl") / "episodes.jsonl", "".join(json.dumps(one) + "\n" for one in tasks))
    found = again(capsys, run, "of=[rollouts,eval]")
    assert found["answers"] == 5 and sum(found["unjudged"].values()) == 6


def test_responses_of_nobody_knows_which_episode_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were taken for one episode."""
    run = finished(tmp_path / "run")
    lines = [rollout(n, RIGHT, 1.0, "right", turn=0, reasons=[], group=None) for n in range(3)]
    write(run.rl / "rollouts" / "1.jsonl", "".join(lines))
    found = again(capsys, run, "of=[rollouts]")
    assert found["answers"] == 0 and sum(found["unjudged"].values()) == 3


def test_rows_that_have_changed_since_judge_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    file = run.root / "own.parquet"
    row = {"reward_model": {"ground_truth": GOLD}, "extra_info": {"id": "r"}}
    parquet.write_table(pa.Table.from_pylist([row]), file)
    scores = {"format": 1, "task_file": str(file), "tasks_sha256": digest_file(file)}
    write(run.eval("rl", "custom") / "scores.json", json.dumps(scores))
    responses = [{"completion": RIGHT, "finish": "stop"}]
    line = {"id": "r", "category": "own", "right": True, "score": 1.0, "reasons": []}
    line["turns"] = [{"user": "u", "gold": [], "reasons": [], "responses": responses}]
    write(run.eval("rl", "custom") / "episodes.jsonl", json.dumps(line) + "\n")
    assert again(capsys, run, "of=[eval]", "reward=binary")["answers"] == 1
    row["reward_model"]["ground_truth"] = GOLD.replace('"a": 1', '"a": 3')
    parquet.write_table(pa.Table.from_pylist([row]), file)
    found = again(capsys, run, "of=[eval]", "reward=binary")
    assert found["answers"] == 0 and [*found["unjudged"]] == [
        "the rows that they were scored with have changed since"
    ]


def test_rows_of_an_evaluation_are_scored_with_their_gold_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    rows = [{"reward_model": {"ground_truth": GOLD}, "extra_info": {"id": f"r{number}"}} for number in (1, 2)]
    parquet.write_table(pa.Table.from_pylist(rows), run.root / "own.parquet")

    def episode(name: str, answer: str, score: float) -> str:
        responses = [{"completion": answer, "finish": "stop"}]
        turn = {"user": "u", "gold": ["[f(a=1)]"], "reasons": [], "responses": responses}
        line = {
            "id": name,
            "category": "own",
            "right": score == 1,
            "score": score,
            "reasons": [],
            "turns": [turn],
        }
        return json.dumps(line) + "\n"

    lines = episode("r1", RIGHT, 0.0) + episode("r2", WRONG, 0.0) + episode("gone", RIGHT, 1.0)
    write(run.eval("rl", "custom") / "episodes.jsonl", lines)
    settings = Manifest(run).stage("eval")["settings"]
    Manifest(run).update("eval", settings={**settings, "eval.path": "RUN_DIR/own.parquet"})
    found = again(capsys, run, "of=[eval]", "reward=binary")
    assert found["answers"] == 2 and found["changed"] == 1 and found["changes"][0]["of"] == "eval rl"
    assert list(found["unjudged"].values()) == [1]
    (run.root / "own.parquet").write_text("no parquet")
    assert main(["reverify", str(run.root), "of=[eval]", "reward=binary"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_tasks_that_an_environment_judges_add_up_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    turns = [{"reasons": reasons, "responses": [{"completion": RIGHT}]} for reasons in ([], ["turn: state"])]
    line = {"id": "t", "category": "chain", "right": False, "reasons": ["turn 1: state: x"], "turns": turns}
    write(run.eval("rl") / "episodes.jsonl", json.dumps(line) + "\n")
    found = again(capsys, run, "of=[eval]", "reward=progress")
    assert found["answers"] == 0 and "is not known" in next(iter(found["unjudged"]))
    write(run.tasks("heldout"), json.dumps({"id": "t", "turns": [{}, {}, {}, {}]}) + "\n")
    (category,) = again(capsys, run, "of=[eval]", "reward=progress")["categories"]
    assert (category["before"], category["after"]) == (0.0, 0.25), "what was never reached counts"
    (category,) = again(capsys, run, "of=[eval]", "reward=binary")["categories"]
    assert (category["before"], category["after"]) == (0.0, 0.0)


def test_hostile_answers_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    hostile = "t</think>\n\n[f(a=1)]\x1b[31m<script>alert(1)</script>\u202e[bold]"
    lines = rollout(1, hostile, 1.0, "right") + rollout(2, "x" * 1_000_000, 1.0, "right") + '{"group": "cut'
    write(run.rl / "rollouts" / "1.jsonl", lines)
    assert main(["reverify", str(run.root)]) == 0
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out and "2 of 2 scores changed" in out and len(out) < 5000


def test_what_stands_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    notes = write(run.root / "reverify" / "notes.txt", "mine")
    assert main(["reverify", str(run.root)]) == 2
    assert "this tool did not create" in capsys.readouterr().err and notes.read_text() == "mine"
    assert main(["reverify", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    (run.rl / "rollouts" / "1.jsonl").unlink()
    assert main(["reverify", str(run.root), f"out={tmp_path / 'there'}"]) == 2
    assert "there are no stored answers" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


def test_memory_does_not_grow_with_the_number_of_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks = []
    for steps in (2, 20):
        run = finished(tmp_path / str(steps))
        lines = "".join(rollout(number, f"{number}{WRONG}", 1.0, "right") for number in range(250))
        for step in range(1, steps + 1):
            write(run.rl / "rollouts" / f"{step}.jsonl", lines)
        again(capsys, run, "of=[rollouts]")  # fills the reward's caches
        tracemalloc.start()
        assert again(capsys, run, "of=[rollouts]")["answers"] == 250 * steps
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_model_may_be_called_as_a_benchmark_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    line = {"id": "t1", "category": "c", "right": True, "reasons": [], "turns": [{"reasons": []}]}
    for name in ("bfcl", "parts", "rl"):
        write(run.eval(name) / "episodes.jsonl", json.dumps(line) + "\n")
    found = again(capsys, run, "of=[eval]")
    assert found["answers"] == 3 and found["unjudged"] == {}


def own_run(root: Path, rate: str) -> tuple[RunDir, Path]:
    """A run whose rollouts a function of the user's own has scored, which lies in the run directory."""
    run = finished(root)
    mine = write(run.root / "mine.py", f"def rate(solution_str, **row):\n    return {rate}\n")
    settings = {
        "rl.reward_function": "RUN_DIR/mine.py:rate",
        "rl.learning_rate": 0.1,
    }  # as the stage notes it
    stage(run, "rl", [], settings)
    return run, mine


def test_a_run_s_own_function_is_its_own_reward(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its manifest has no rl.reward.*: the evaluation's reward was taken in its place, or none."""
    run, mine = own_run(tmp_path / "run", "0.25")
    found = again(capsys, run)
    assert found["reward"] == {"function": f"{mine}:rate"}
    assert found["changed"] == 3 and {one["after"] for one in found["changes"]} == {"own function"}
    moved = tmp_path / "elsewhere"
    run.root.rename(moved)
    assert again(capsys, RunDir.at(moved))["reward"] == {"function": f"{moved / 'mine.py'}:rate"}


def test_a_run_s_own_function_scores_what_it_scored_and_no_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = own_run(tmp_path / "run", "0.25")
    line = {"id": "t", "category": "chain", "right": True, "reasons": [], "turns": [{"reasons": []}]}
    write(run.eval("rl") / "episodes.jsonl", json.dumps(line) + "\n")
    found = again(capsys, run)
    assert {one["of"] for one in found["changes"]} == {"rollouts"} and found["answers"] == 5


@pytest.mark.parametrize("word", ["reward=partial", "+reward=partial", "++rl.reward.variant=partial"])
def test_a_reward_is_chosen_however_it_is_written(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a plus before it the run's own reward was taken in silence."""
    assert again(capsys, finished(tmp_path / "run"), word)["reward"]["variant"] == "partial"


def test_rows_without_extra_info_are_known_by_their_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `eval` takes them: it was an error about a field that does not match."""
    run = finished(tmp_path / "run")
    file = tmp_path / "own.parquet"
    parquet.write_table(pa.Table.from_pylist([{"reward_model": {"ground_truth": GOLD}}]), file)
    responses = [{"completion": RIGHT, "finish": "length"}]
    turns = [{"user": "u", "gold": [], "reasons": [], "responses": responses}]
    line = {"id": "row 0", "category": "own", "right": True, "score": 1.0, "reasons": [], "turns": turns}
    write(run.eval("rl", "custom") / "scores.json", json.dumps({"format": 1, "task_file": str(file)}))
    write(run.eval("rl", "custom") / "episodes.jsonl", json.dumps(line) + "\n")
    found = again(capsys, run, "of=[eval]", "reward=binary")
    assert (found["answers"], found["changed"]) == (1, 0), "right all the same, though it met its limit"


def test_a_link_as_out_stays_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        again(capsys, run, f"out={tmp_path / 'link'}")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "elsewhere" / "summary.json").is_file()
    assert {one.name for one in tmp_path.iterdir()} == {"run", "elsewhere", "link"}


def test_a_copy_of_a_step_is_not_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    file = run.rl / "rollouts" / "1.jsonl"
    for name in ("1 (copy).jsonl", "1.old.jsonl", ".1.jsonl"):
        file.with_name(name).write_text(file.read_text())
    assert again(capsys, run)["answers"] == 4


def test_a_run_may_be_named_after_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "lr=1e-6,seed=2")
    assert again(capsys, run)["answers"] == 4
