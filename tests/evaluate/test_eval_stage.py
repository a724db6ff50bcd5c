"""The stage from configuration to scores, with a scripted server in place of vLLM."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluate.mock_endpoint import serving
from evaluate.scripted import TASKS, gold

from funreason_train.commands.cli import main
from funreason_train.commands.line.loading import every_problem
from funreason_train.dialogue import render_prompt
from funreason_train.environments import Episode, write_tasks
from funreason_train.errors import UserError
from funreason_train.evaluate import stage
from funreason_train.evaluate.browser import read_browser
from funreason_train.evaluate.serve.replicas import ReplicaFailed
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny model's folder."""
    from funreason_train.models.tiny import build

    folder = tmp_path_factory.mktemp("models") / "tiny"
    build(folder, [turn.user for task in TASKS for turn in task.turns], compose(None, []))
    return folder


@pytest.fixture(scope="module")
def answers(model: Any) -> Any:
    """Prompt ids of every response of every gold play to the task and the gold completion."""
    from transformers import AutoTokenizer

    tokenizer, found = AutoTokenizer.from_pretrained(model), {}
    for task in TASKS:
        episode = Episode(task, style="compact")
        for completion in gold(task):
            prompt = render_prompt(episode.prompt_messages(), tokenizer)
            found[tuple(tokenizer(prompt, add_special_tokens=False).input_ids)] = (task.id, completion)
            episode.receive(completion)
    return found


@pytest.fixture
def server(answers: Any) -> Iterator[Any]:
    with serving(answers) as server:
        yield server


def configured(tmp_path: Path, model: Any, *words: Any) -> Any:
    """A run directory with the tasks, and a configuration."""
    run = RunDir.at(tmp_path / "run")
    run.tasks("heldout").parent.mkdir(parents=True, exist_ok=True)
    write_tasks(run.tasks("heldout"), TASKS)
    if not any(word.startswith("models=") for word in words):
        words = (f"models={{mine: {model}}}", *words)
    words = ("protocol.system=compact", "max_tokens=64", *words)
    return compose("eval", [f"run_dir={run.root}", *words]), run


def test_a_known_mixture_reaches_scores_failures_and_table(tmp_path: Path, model: Any, server: Any) -> None:
    server.wrong, server.drop = {task.id for task in TASKS[::4]}, 4
    config, run = configured(tmp_path, model, f"endpoint={server.url}", "served_name=tiny")
    result = stage.run(config, run)
    expected = len(TASKS) - len(server.wrong)
    scores = json.loads((run.eval("mine") / "scores.json").read_text())
    assert (scores["right"], scores["tasks"]) == (expected, len(TASKS))
    assert result["models"]["mine"]["accuracy"] == scores["accuracy"] == expected / len(TASKS)
    assert scores["sampling"]["temperature"] == 0 and len(scores["tasks_sha256"]) == 64
    episodes = [json.loads(line) for line in (run.eval("mine") / "episodes.jsonl").read_text().splitlines()]
    assert [row["id"] for row in episodes] == [task.id for task in TASKS]
    failures = [json.loads(line) for line in (run.eval("mine") / "failures.jsonl").read_text().splitlines()]
    assert {row["id"] for row in failures} == server.wrong
    page = read_browser(run.eval_failures())
    assert {entry["id"] for entry in page["entries"]} == {task.id for task in TASKS}
    assert {entry["id"] for entry in page["entries"] if entry["right"] != [1]} == server.wrong
    assert f"| all | {len(TASKS)} | {100 * expected / len(TASKS):.1f} %" in (
        run.root / "eval" / "table.md"
    ).read_text(encoding="utf-8")
    asked = server.asked[0]
    assert server.drop == 0  # requests that were lost or turned away were asked again
    assert asked["model"] == "tiny" and asked["max_tokens"] == 64 and asked["temperature"] == 0

    server.asked.clear()
    again = stage.run(config, run)
    assert again["models"] == result["models"] and not server.asked  # all episodes were kept


def test_a_server_that_dies_midway_costs_nothing_that_was_finished(
    tmp_path: Path, model: Any, server: Any
) -> None:
    config, run = configured(tmp_path, model, f"endpoint={server.url}", "served_name=tiny", "concurrency=4")
    server.dead_after = 40
    with pytest.raises(ReplicaFailed, match="out of memory"):
        stage.run(config, run)
    (parts,) = (run.eval("mine") / "parts").iterdir()
    kept = len((parts / "replica0.jsonl").read_text().splitlines())
    assert 0 < kept < len(TASKS)
    server.dead_after, asked = None, len(server.asked)
    assert stage.run(config, run)["models"]["mine"]["accuracy"] == 1.0
    needed = sum(len(gold(task)) for task in TASKS)
    assert len(server.asked) - asked < needed  # the kept ones were not asked again


def test_other_settings_play_again_and_limit_takes_a_spread(tmp_path: Path, model: Any, server: Any) -> None:
    config, run = configured(tmp_path, model, f"endpoint={server.url}", "served_name=tiny", "limit=4")
    assert stage.run(config, run)["models"]["mine"]["tasks"] == 4
    played = [
        json.loads(line)["id"] for line in (run.eval("mine") / "episodes.jsonl").read_text().splitlines()
    ]
    assert played == [TASKS[number].id for number in (0, 10, 20, 30)]
    server.wrong = {task.id for task in TASKS}
    config.eval.max_tokens = 63
    assert stage.run(config, run)["models"]["mine"]["right"] == 0


def test_an_endpoint_that_is_down_or_serves_another_model_is_told(
    tmp_path: Path, model: Any, server: Any
) -> None:
    config, run = configured(tmp_path, model, f"endpoint={server.url}")
    with pytest.raises(UserError, match=rf"serves tiny, not {model}.*eval\.served_name"):
        stage.run(config, run)
    config.eval.served_name = "other"
    with pytest.raises(UserError, match="serves tiny, not other"):
        stage.run(config, run)
    config.eval.endpoint = "http://127.0.0.1:9/v1"
    with pytest.raises(UserError, match="does not answer"):
        stage.run(config, run)


def test_a_whole_configuration_has_no_problem(tmp_path: Path, model: Any) -> None:
    config, run = configured(tmp_path, model)
    assert stage.check(config, run) == []


def test_what_a_model_folder_lacks_is_told(tmp_path: Path, model: Any) -> None:
    import shutil

    for missing, word in {
        "config.json": "config.json",
        "model.safetensors": "weights",
        "tokenizer.json": "tokenizer",
        "chat_template.jinja": "chat template",
    }.items():
        folder = tmp_path / missing / "m"
        shutil.copytree(model, folder)
        (folder / missing).unlink()
        config, run = configured(tmp_path, folder)
        (problem,) = stage.check(config, run)
        assert word in problem and str(folder) in problem
        with pytest.raises(UserError, match=word):
            stage.run(config, run)
    config, run = configured(tmp_path, tmp_path / "nowhere")
    assert "there is no such model folder" in stage.check(config, run)[0]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("tasks=/nowhere/tasks.jsonl", "there is no task file"),
        ("models={a/b: /nowhere}", "cannot name a folder"),
        ("models={table.md: /nowhere}", "'table.md' is a file of the results"),
        ("models={custom.html: /nowhere}", "'custom.html' is a file of the results"),
        (f"models={{{'a' * 201}: /nowhere}}", "more than 200 bytes"),
        ("tensor_parallel=2", "eval.replicas"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    tmp_path: Path, model: Any, word: str, sentence: str
) -> None:
    config, run = configured(tmp_path, model, word)
    assert re.search(sentence, "; ".join(stage.check(config, run)))
    with pytest.raises(UserError, match=sentence):
        stage.run(config, run)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "benchmark=hledout",
            "hledout: must be one of heldout, bfcl, custom. Did you mean heldout?",
        ),
        ("max_tokens=0", "eval.max_tokens=0: must be a whole number of at least 1"),
        ("limit=0", "eval.limit=0: must be a whole number of at least 1, or null"),
        ("top_p=1.5", "eval.top_p=1.5: must be a number above 0 and at most 1"),
        ("temperature=-1", "eval.temperature=-1: must be a number of at least 0"),
        ("samples=0", "eval.samples=0: must"),
        ("seeds=[1,1]", "eval.seeds=[1, 1]: must be different numbers"),
        ("seeds=[]", "eval.seeds=[]: must"),
        ("pass_k=[4]", "eval.pass_k=[4]: pass@4 needs 4 samples of each task. Set eval.samples=4"),
        ("pass_k=[0]", "eval.pass_k=[0]: the item 0 must be a whole number of at least 1"),
        ("samples=2", "greedy completions, which are all alike"),
        ("seeds=[1,2]", "eval.temperature=0.0: "),
        ("bfcl.version=2024.1.1", "eval.bfcl.version=2024.1.1: must be 2026.3.23 or 2025.8.25"),
        ("categories=[multi_trn]", "Did you mean multi_turn?"),
    ],
)
def test_a_value_that_cannot_be_meant_is_told_with_what_is_allowed(
    tmp_path: Path, model: Any, word: str, sentence: str
) -> None:
    (problem,) = every_problem(configured(tmp_path, model, word)[0], "eval")
    assert sentence in str(problem)


def test_a_number_may_name_a_model(tmp_path: Path, model: Any) -> None:
    config, run = configured(tmp_path, model, f"models={{1: {model}}}")
    config = resolve(config, "eval")
    assert dict(config.eval.models) == {"1": str(model)} and stage.check(config, run) == []


def test_several_attempts_at_each_task_are_fine_with_a_temperature(tmp_path: Path, model: Any) -> None:
    words = ("temperature=0.7", "seeds=[1,2]", "samples=2", "pass_k=[1,2]")
    assert every_problem(configured(tmp_path, model, *words)[0], "eval") == []


def test_more_gpus_than_a_machine_has_are_told(tmp_path: Path, model: Any) -> None:
    config, run = configured(tmp_path, model, "cluster=h20x32", "replicas=8", "tensor_parallel=2")
    assert any("16" in problem and "has 8" in problem for problem in stage.check(config, run))


def test_what_the_pipeline_has_yet_to_make_is_no_problem_before_it_starts(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path / "new")
    config = compose("eval", [f"run_dir={run.root}", f"models={{base: {run.base_model}}}"])
    assert stage.check(config, run) == []
    with pytest.raises(UserError, match=r"no such model folder(.|\n)*no task file"):
        stage.run(config, run)


def test_a_task_file_that_is_none_is_told(tmp_path: Path, model: Any) -> None:
    config, run = configured(tmp_path, model)
    file = run.tasks("heldout")
    whole = TASKS[0].to_json()
    of_no_name = json.dumps({**whole, "environment": ["shop"]}) + "\n"
    calls_of_texts = {**whole, "turns": [{"user": "a", "steps": [["f"]], "text": "b"}]}
    after = json.dumps(whole) + "\n"
    for text, sentence in (
        ("{}\n", "line 1 is not a task"),
        ("nonsense\n", "line 1 is not a task"),
        ("", "no task in it"),
        (of_no_name, "line 1 is not a task"),
        (json.dumps(calls_of_texts) + "\n", "line 1 is not a task"),
        (after + "[" * 100_000, "line 2 is not a task"),
        (after + after[: len(after) // 2], "line 2 is not a task"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=sentence):
            stage.run(config, run)
    file.write_text(json.dumps(TASKS[0].to_json()) + "\n" + json.dumps(TASKS[0].to_json()) + "\n")
    with pytest.raises(UserError, match="same id"):
        stage.run(config, run)


def test_importing_the_stage_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, funreason_train.evaluate.stage; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "vllm", "transformers", "ray", "huggingface_hub", "numpy"} & set(loaded.split())


def test_a_dry_run_looks_into_the_task_file(
    tmp_path: Path, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps(TASKS[0].to_json()) + "\nnonsense\n")
    words = [
        "benchmark=custom",
        f"path={file}",
        f"model={model}",
        f"run_dir={tmp_path / 'run'}",
        "dry_run=true",
    ]
    assert main(["eval", *words]) == 2
    assert "mine.jsonl: line 2 is not a task" in " ".join(capsys.readouterr().err.split())
    file.write_text(json.dumps(TASKS[0].to_json()) + "\n")
    assert main(["eval", *words]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["path=mine.parquet"], "benchmark=custom"),
        (["tasks=mine.parquet"], "are played with benchmark=custom path=FILE"),
    ],
)
def test_own_tasks_are_not_passed_over_in_silence(
    words: list[str], said: str, tmp_path: Path, model: Any
) -> None:
    """`eval path=FILE` played the held-out tasks of the run instead."""
    config, run = configured(tmp_path, model, *words)
    assert any(said in problem for problem in stage.check(config, run))


def test_another_name_behind_an_endpoint_is_another_model(tmp_path: Path, model: Any, server: Any) -> None:
    """The answers of an adapter counted as those of the next one that has the same base."""
    server.names = ["one", "two"]
    words = [f"endpoint={server.url}", "limit=2"]
    config, run = configured(tmp_path, model, *words, "served_name=one")
    assert stage.run(config, run)["models"]["mine"]["right"] == 2
    server.wrong = {task.id for task in TASKS}
    config.eval.served_name = "two"
    assert stage.run(config, run)["models"]["mine"]["right"] == 0


def test_an_endpoint_s_refusal_is_told_while_others_are_still_answered(
    tmp_path: Path, model: Any, server: Any
) -> None:
    """The process waited for every answer on its way, and was then given up for being silent."""
    config, run = configured(tmp_path, model, f"endpoint={server.url}", "served_name=tiny", "concurrency=4")
    server.dead_after, server.slow = 3, 60.0
    began = time.monotonic()
    with pytest.raises(ReplicaFailed, match="out of memory"):
        stage.run(config, run)
    assert time.monotonic() - began < 50
