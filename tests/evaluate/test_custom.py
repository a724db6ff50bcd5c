"""Tasks of your own: rows of an RL parquet through the whole command, killed and continued; bad files."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock
from evaluate.mock_endpoint import serving
from evaluate.scripted import SAMPLING, TASKS, Scripted, encode, gold, render

from funreason_train.calls import Call
from funreason_train.commands.cli import main
from funreason_train.data.export.verl import RlWriter, rl_batch
from funreason_train.dialogue import Message, Step, render_prompt, render_target
from funreason_train.environments import write_tasks
from funreason_train.errors import UserError
from funreason_train.evaluate import results
from funreason_train.evaluate.browser import read_browser
from funreason_train.evaluate.custom import play_rows, read_own_tasks, read_rows
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

TOOL = {
    "name": "add",
    "description": "Adds.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


def step(number: Any) -> Any:
    """Every third one has no call; every second one has a tool result in its prompt."""
    calls = () if number % 3 == 0 else (Call("add", {"a": number}),)
    messages: list[Message] = [
        {"role": "system", "content": "Tools."},
        {"role": "user", "content": f"Add {number}."},
    ]
    if number % 2:
        messages += [{"role": "assistant", "content": "[add(a=0)]"}, {"role": "tool", "content": "['0']"}]
    answer = "Nothing to add." if not calls else f"[add(a={number})]"
    return Step(
        id=f"s{number}",
        source="odd" if number % 2 else "even",
        messages=tuple(messages),
        thought="I think.",
        answer=answer,
        calls=calls,
        tools=(TOOL,),
        meta={},
    )


STEPS = [step(number) for number in range(60)]


def write_parquet(folder: Any, steps: Any = STEPS) -> Any:
    with RlWriter(folder, "val") as writer:
        writer.write(rl_batch(steps, 0, [None] * len(steps)))
    return folder / "val.parquet"


def target(one: Any) -> Any:
    return render_target(one.thought, one.answer)


def test_gold_answers_are_right_and_others_say_why(tmp_path: Path) -> None:
    rows = read_rows(write_parquet(tmp_path), {})
    assert [row.id for row in rows] == [one.id for one in STEPS]
    answers = {one.id: [target(one)] for one in STEPS}
    answers["s1"] = ["I think.\n</think>\n\n[add(a=2)]"]
    answers["s2"] = ["no end of thought"]
    answers["s3"] = ["I think.\n</think>\n\n[add(a=3)]"]
    played = {row["id"]: row for row in play_rows(rows, Scripted(answers), render, encode, SAMPLING, {}, 7)}
    assert {name for name, row in played.items() if not row["right"]} == {"s1", "s2", "s3"}
    assert played["s1"]["reasons"] == ["turn 0: values: reward 0"]
    assert played["s2"]["reasons"] == ["turn 0: malformed: unclosed"]
    assert played["s3"]["reasons"] == ["turn 0: calls_for_text: reward 0"]
    (turn,) = played["s5"]["turns"]
    assert turn["user"] == "Add 5." and turn["gold"] == ["[add(a=5)]"]
    assert "<tool>['0']<think>" in turn["responses"][0]["prompt"]  # merged once, not twice
    assert played["s4"]["category"] == "even" and played["s4"]["score"] == 1.0


def test_the_configured_reward_decides(tmp_path: Path) -> None:
    rows = read_rows(write_parquet(tmp_path, [STEPS[1]]), {"require_thought": True})
    answers = {"s1": ["\n</think>\n\n[add(a=1)]"]}
    for options, right in (({}, True), ({"require_thought": True}, False)):
        (row,) = play_rows(rows, Scripted(answers), render, encode, SAMPLING, options, 1)
        assert row["right"] is right


def test_a_prompt_that_does_not_fit_is_a_failed_row(tmp_path: Path) -> None:
    from dataclasses import replace

    rows = read_rows(write_parquet(tmp_path, STEPS[:1]), {})
    short = replace(SAMPLING, max_model_tokens=10)
    (row,) = play_rows(rows, Scripted({}), render, encode, short, {}, 1)
    assert not row["right"] and row["reasons"][0].startswith("turn 0: prompt_too_long: ")


def test_files_that_hold_no_tasks_are_told(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "x.parquet"
    file.write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match=r"x\.parquet: the parquet cannot be read"):
        read_rows(file, {})
    pq.write_table(pa.table({"prompt": ["x"]}), file)
    with pytest.raises(UserError, match="there is no column data_source, reward_model"):
        read_rows(file, {})
    whole = pq.read_table(write_parquet(tmp_path / "good", STEPS[:2])).to_pylist()
    for damage, said in (
        (lambda row: row["reward_model"].update(ground_truth="{}"), "row 1 is not of the RL export's shape"),
        (
            lambda row: row["reward_model"].update(ground_truth='{"calls": []}'),
            "with the lists calls and tools",
        ),
        (lambda row: row.update(prompt=[]), "row 1 has an empty prompt"),
        (lambda row: row["extra_info"].update(id="s0"), "several tasks have the same id"),
    ):
        rows = json.loads(json.dumps(whole))
        damage(rows[1])
        pq.write_table(pa.Table.from_pylist(rows), file)
        with pytest.raises(UserError, match=said):
            read_rows(file, {})
    pq.write_table(pa.Table.from_pylist(whole).slice(0, 0), file)
    with pytest.raises(UserError, match="no task in it"):
        read_rows(file, {})


def test_executable_tasks_of_ones_own_are_tried_with_their_gold_calls_first(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    write_tasks(file, TASKS[:4])
    assert [task.id for task in read_own_tasks(file)] == [task.id for task in TASKS[:4]]
    good = TASKS[0].to_json()
    for line, said in (
        ("nonsense", "line 2 is not a task"),
        (json.dumps({**good, "id": "x", "environment": "moon"}), "line 2: there is no environment moon"),
        (json.dumps({**good, "id": "x", "tools": ["no_such_tool"]}), "line 2 is not a task"),
        (json.dumps(good), "several tasks have the same id"),
    ):
        file.write_text(json.dumps(good) + "\n" + line + "\n")
        with pytest.raises(UserError, match=said):
            read_own_tasks(file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "benchmark=custom needs path=FILE"),
        (["path=/nowhere/tasks.jsonl"], "/nowhere/tasks.jsonl: there is no such file"),
        (["path=/nowhere/tasks.csv"], "own tasks are a .parquet of RL rows or a .jsonl"),
    ],
)
def test_a_missing_file_is_one_sentence_and_exit_code_2(
    words: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark=custom", "models={m: /nowhere}", f"run_dir={tmp_path}", *words]
    assert main(["eval", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a tokenizer and a template; the weights are the endpoint's."""
    texts = [one.messages[1]["content"] for one in STEPS]
    folder = bfcl_mock.make_model(tmp_path_factory.mktemp("models") / "tiny", texts, 300)
    (folder / "config.json").write_text('{"max_position_embeddings": 100000}')
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder


def answers_of(model: Any) -> Any:
    """Prompt ids to the row's id and its gold completion."""
    from transformers import AutoTokenizer

    tokenizer, found = AutoTokenizer.from_pretrained(model), {}
    for one in STEPS:
        prompt = render_prompt(list(one.messages), tokenizer, merged=True)
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
        found[tuple(ids)] = (one.id, target(one))
    return found


def test_a_killed_evaluation_continues_where_it_stopped(tmp_path: Path, model: Any) -> None:
    """The whole command, killed with -9 midway: nothing keeps running; the next call does only the rest."""
    run = RunDir.at(tmp_path / "run")
    words = ["benchmark=custom", f"path={write_parquet(tmp_path)}", f"models={{mine: {model}}}"]
    words += [f"run_dir={run.root}", "max_tokens=64", "concurrency=4", "served_name=tiny"]
    answers = answers_of(model)
    with serving(answers) as server:
        server.slow, server.wrong = 0.2, {"s1", "s6", "s11"}
        command = [sys.executable, "-m", "funreason_train", "eval", *words, f"endpoint={server.url}"]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: len(server.asked) >= 12 or first.poll() is not None)
            assert first.poll() is None and first.stdout is not None
        finally:
            kill_and_wait(first, run.root)
        asked = len(server.asked)
        kept = {name for file in parts(run) for name in results.finished(file.parent)}
        assert 0 < len(kept) < len(STEPS)
        with next(iter(parts(run))).open("a") as file:
            file.write('{"id": "s59", "categ')  # what a kill can leave behind
        server.slow = 0.0
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 0, second.stdout + second.stderr
        again = {answers[tuple(body["prompt"])][0] for body in server.asked[asked:]}
    assert again == {one.id for one in STEPS} - kept  # what was finished was not asked again
    scores = json.loads((run.eval("mine", "custom") / "scores.json").read_text())
    assert (scores["right"], scores["tasks"]) == (len(STEPS) - 3, len(STEPS))
    assert set(scores["categories"]) == {"odd", "even"}
    page = read_browser(run.eval_failures("custom"))
    assert {entry["id"] for entry in page["entries"]} == {one.id for one in STEPS}
    assert {entry["id"] for entry in page["entries"] if entry["right"] != [1]} == {"s1", "s6", "s11"}
    assert "Own tasks done right" in run.eval_table("custom").read_text()
    assert "95.0 %" in second.stdout and str(run.eval_failures("custom")) in second.stdout


def kill_and_wait(process: Any, root: Any) -> None:
    """Kills the command alone, as a user would, and waits until everything it started has ended by itself."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not workers(root))


def parts(run: Any) -> Any:
    return sorted((run.eval("mine", "custom") / "parts").glob("*/replica*.jsonl"))


def workers(root: Any) -> Any:
    """Processes of this project that name the run directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(b"funreason_train.") for word in words) and str(root).encode() in b" ".join(
            words
        ):
            found.append(entry.parent.name)
    return found


def wait_until(true: Any, seconds: int = 300) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.1)


def test_seeds_and_samples_of_own_tasks_share_one_table(tmp_path: Path, model: Any) -> None:
    from funreason_train.evaluate import stage

    run = RunDir.at(tmp_path / "run")
    write_tasks(tmp_path / "mine.jsonl", TASKS[:3])
    words = ["benchmark=custom", f"path={tmp_path / 'mine.jsonl'}", f"models={{mine: {model}}}"]
    words += [f"run_dir={run.root}", "max_tokens=64", "seeds=[0,1]", "samples=2", "pass_k=[2]"]
    words += ["temperature=0.8", "protocol.system=compact", "served_name=tiny"]
    with serving(gold_answers(model)) as server:
        stage.run(compose("eval", [*words, f"endpoint={server.url}"]), run)
        seeds = {(body["seed"], tuple(body["prompt"])) for body in server.asked}
    assert len(seeds) == len(server.asked) == 4 * sum(len(gold(task)) for task in TASKS[:3])
    scores = json.loads((run.eval("mine", "custom") / "scores.json").read_text())
    assert (scores["attempts"], scores["right"], scores["tasks"]) == (4, 12, 3)
    assert scores["pass_at_k"]["2"]["value"] == 1.0 and scores["seeds"]["mean"] == 1.0
    table = run.eval_table("custom").read_text()
    assert "4 a task" in table and "pass@2 100.0 %" in table and "mean over seeds 0, 1" in table


def gold_answers(model: Any, tasks: Any = TASKS[:3]) -> Any:
    from transformers import AutoTokenizer

    from funreason_train.environments import Episode

    tokenizer, found = AutoTokenizer.from_pretrained(model), {}
    for task in tasks:
        episode = Episode(task, style="compact")
        for completion in gold(task):
            prompt = render_prompt(episode.prompt_messages(), tokenizer)
            found[tuple(tokenizer(prompt, add_special_tokens=False).input_ids)] = (task.id, completion)
            episode.receive(completion)
    return found


def test_tasks_in_an_environment_of_ones_own_are_played_in_every_replica(
    tmp_path: Path, model: Any, lamp_module: Callable[[str], str]
) -> None:
    from funreason_train.environments import Task, TaskTurn, load_environments
    from funreason_train.evaluate import stage

    module = lamp_module("evaluated_lamp")
    load_environments([module])
    turn = TaskTurn("Light!", ((Call("switch_on", {"lamp": "L1"}),),), "It is on.")
    config = {"lamps": {"L1": {"on": False}}}
    task = Task("lamp-1", "own", "evaluated_lamp", config, ("switch_on",), (turn,))
    write_tasks(tmp_path / "mine.jsonl", [task])
    run = RunDir.at(tmp_path / "run")
    words = ["benchmark=custom", f"path={tmp_path / 'mine.jsonl'}", f"models={{mine: {model}}}", "seeds=[0]"]
    words += [f"run_dir={run.root}", "max_tokens=64", "protocol.system=compact", "served_name=tiny"]
    words += [f"environment_modules=[{module}]"]
    with serving(gold_answers(model, [task])) as server:
        stage.run(compose("eval", [*words, f"endpoint={server.url}"]), run)
    scores = json.loads((run.eval("mine", "custom") / "scores.json").read_text())
    assert (scores["right"], scores["tasks"]) == (1, 1)
