"""`funreason-train doctor`: bad rows, bad settings and tokenizers that lose tags are named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from funreason_train.calls import Call
from funreason_train.commands.cli import main
from funreason_train.commands.preflight.doctor import _tokenizer
from funreason_train.environments import Task, TaskTurn
from funreason_train.errors import UserError
from funreason_train.reward.sample import audit_file
from funreason_train.rl.rollout.tokens import lost_in_decoding
from funreason_train.rl.settings.tasks import audit_tasks, holds_tasks
from funreason_train.settings.compose import compose
from funreason_train.synth.embedded import generate as embedded

TOOL = {
    "name": "lamp",
    "description": "",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
}
RIGHT = {"name": "lamp", "arguments": {"on": True}}
WRONG = {"name": "lamp", "arguments": {"on": "yes"}}


def write(path: Path, *golds: dict[str, Any], source: str = "mine") -> Path:
    rows = [
        {
            "data_source": source,
            "reward_model": {"style": "rule", "ground_truth": json.dumps({"calls": [gold], "tools": [TOOL]})},
        }
        for gold in golds
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_good_rows_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "rl.parquet", RIGHT, RIGHT)
    assert main(["doctor", f"reward={file}", f"run_dir={tmp_path}"]) == 0
    assert "No problems found" in capsys.readouterr().out


def test_a_bad_row_is_named_and_the_exit_code_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "rl.parquet", RIGHT, RIGHT, WRONG)
    assert main(["doctor", f"reward={file}", f"run_dir={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert "1 of the 3 rows" in error and "row 2 (mine)" in error and "Traceback" not in error


@pytest.mark.parametrize("variant", ["binary", "progress", "all_turns"])
def test_executable_tasks_are_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], variant: str
) -> None:
    tasks = [task.to_json() for task in embedded.tasks("train", 4, 0, {"single": 1.0})]
    truth = {"calls": [RIGHT], "tools": [TOOL], "turns": 1}
    rows = [
        {
            "data_source": "mine",
            "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
            "extra_info": {"task": json.dumps(task)},
        }
        for task in tasks
    ]
    file = tmp_path / "env.parquet"
    words = ["doctor", f"reward={file}", f"run_dir={tmp_path}", f"rl.reward.variant={variant}"]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    assert main(words) == 0
    assert "played" in capsys.readouterr().out
    rows[2]["extra_info"] = {"task": json.dumps({**tasks[2], "environment": "nowhere"})}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "1 of the 4 rows" in error and "row 2 (mine)" in error and "nowhere" in error


def test_a_source_that_looks_like_markup_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "[red]rl.parquet", RIGHT, WRONG, source="[red]mine[/blue]")
    assert main(["doctor", f"doctor.reward='{file}'", f"run_dir={tmp_path}"]) == 2
    shown = capsys.readouterr()
    assert "[red]mine[/blue]" in shown.out and "[red]rl.parquet" in shown.out
    assert "[red]mine[/blue]" in shown.err


def test_rows_are_counted_in_the_file_when_only_some_are_looked_at(tmp_path: Path) -> None:
    file = write(tmp_path / "rl.parquet", *[RIGHT] * 5, *[WRONG] * 5)
    found = audit_file(file, limit=2)
    assert found.rows == 2
    assert {finding.row for finding in found.findings} == {5}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reward=nowhere.parquet"], "there is no such file"),
        (["reward=text.parquet"], "cannot be read as parquet"),
        (["reward=other.parquet"], "the column data_source, reward_model is missing"),
        (["reward=rl.parquet", "rl.reward.variant=generous"], "generous"),
        (["reward=rl.parquet", "+rl.reward.colour=red"], "there is no setting 'rl.reward.colour'"),
        (["reward=rl.parquet", "rows=0"], "rows=0: must be a whole number of at least 1, or null"),
        (["reward=rl.parquet", "rows=all"], "rows=all: must be a whole number of at least 1, or null"),
        (["reward=rl.parquet", "tokenizer=."], "no tokenizer could be loaded"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rl.parquet", RIGHT)
    (tmp_path / "text.parquet").write_text("not parquet")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    assert main(["doctor", *words, "run_dir=run"]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


class Tokenizer:
    """Characters as ids; `skips` are lost when decoding, as marked special tokens would be."""

    eos_token_id = pad_token_id = -1

    def __init__(self, skips: str = "") -> None:
        self.skips = skips

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        body = text.removesuffix("<|im_end|>")
        return {"input_ids": [*map(ord, body), self.eos_token_id]}

    def apply_chat_template(
        self, messages: list[dict[str, str]], add_generation_prompt: bool = False, **_: Any
    ) -> str:
        turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
        return turns + "<|im_start|>assistant\n" * add_generation_prompt

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(map(chr, ids)).replace(self.skips, "") if self.skips else "".join(map(chr, ids))


@pytest.mark.parametrize(
    ("file", "text"), [("tokenizer.json", "{}"), ("tokenizer_config.json", '{"tokenizer_class": 5}')]
)
def test_a_tokenizer_of_another_shape_is_a_finding(tmp_path: Path, file: str, text: str) -> None:
    """It breaks transformers with a KeyError or an AttributeError."""
    (tmp_path / file).write_text(text)
    config = compose("doctor", [f"tokenizer={tmp_path}"])
    (found,) = _tokenizer(config)
    assert found.level == "error" and f"{tmp_path}: no tokenizer could be loaded" in found.what
    assert "Copy the tokenizer again" in found.fix


@pytest.mark.parametrize("rewrite", ["damaged", "no data_source"])
def test_a_file_of_tasks_that_cannot_be_read_is_told(tmp_path: Path, rewrite: str) -> None:
    file = tmp_path / "rl.parquet"
    rows = [{"data_source": "mine" * 50, "extra_info": {"task": "{}" * 500}}] * 50
    table = pyarrow.Table.from_pylist(rows)
    if rewrite == "damaged":
        pyarrow.parquet.write_table(table, file)
        whole = file.read_bytes()
        file.write_bytes(whole[:4] + bytes(200) + whole[204:])
    else:
        pyarrow.parquet.write_table(table.drop_columns(["data_source"]), file)
    assert holds_tasks(file)
    with pytest.raises(UserError, match=r"rl\.parquet: (cannot be read|the column data_source is missing)"):
        audit_tasks(file)


def test_a_tokenizer_that_loses_tags_is_found() -> None:
    """verl#1724."""
    assert lost_in_decoding(Tokenizer()) == []
    assert len(lost_in_decoding(Tokenizer("</think>"))) == 3
    assert len(lost_in_decoding(Tokenizer("<tool_call>"))) == 1


def test_the_launch_scripts_first_check_looks_at_no_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bash launch/stage.sh doctor` asks for a dry run on rank 0 before any node has joined."""
    words = ["doctor", "+recipe=funreason_mt_4b", "cluster=h20x32", f"run_dir={tmp_path}", "dry_run=true"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "4 machines (cluster=h20x32, 8 GPUs each)" in said and str(tmp_path) in said
    lines = [line for line in said.splitlines() if line.startswith("NNODES=4 NODE_RANK=")]
    assert len(lines) == 4 and all("bash launch/stage.sh doctor cluster=h20x32" in line for line in lines)
    assert main([*words, "rl.stepz=3"]) == 2
    assert "rl.stepz" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["cluster=h20x32"], ["cluster.nodes=3"]])
def test_one_of_several_machines_says_that_it_is_alone_and_nothing_else_is_wrong(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main(["doctor", *words, f"run_dir={tmp_path / 'run'}"]) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert "funreason-train: machines: " in line and "RAY_ADDRESS" in line
    assert "1 error, " in shown.out and "route" not in shown.out
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir()), "it left a file"


def test_tasks_in_an_environment_of_ones_own_are_played(
    tmp_path: Path, lamp_module: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its module was not loaded, and every row counted as one of an environment that is not there."""
    module = lamp_module("doctor_s_lamp")
    turn = TaskTurn("Light!", ((Call("switch_on", {"lamp": "L1"}),),), "It is on.")
    config = {"lamps": {"L1": {"on": False}}}
    task = Task("lamp-1", "own", "doctor_s_lamp", config, ("switch_on",), (turn,))
    truth = {"calls": [RIGHT], "tools": [TOOL], "turns": 1}
    row = {
        "data_source": "mine",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {"task": json.dumps(task.to_json())},
    }
    file = tmp_path / "env.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), file)
    words = ["doctor", f"reward={file}", f"run_dir={tmp_path}", "rl.reward.variant=progress"]
    assert main([*words, f"environment_modules=[{module}]"]) == 0, capsys.readouterr().err


def test_a_reward_of_ones_own_is_called_and_the_other_one_vouches_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows were told to be fine by the reward that the run does not use."""
    file = write(tmp_path / "rl.parquet", WRONG, RIGHT)
    rows = pyarrow.parquet.read_table(file).to_pylist()
    rows = [{**row, "extra_info": {"id": str(n)}} for n, row in enumerate(rows)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    mine = tmp_path / "mine.py"
    words = ["doctor", f"reward={file}", f"run_dir={tmp_path}", f"rl.reward_function={mine}:rate"]
    mine.write_text("def rate(solution_str, extra_info, **row):\n    return 1 / int(extra_info['id'])\n")
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "fails on row 0 (ZeroDivisionError" in said and "cannot be trusted" not in said
    mine.write_text("def rate(solution_str, **row):\n    return 0.5\n")
    assert main(words) == 0
    assert "scores 2 rows of rl.parquet" in " ".join(capsys.readouterr().out.split())
    assert main([*words, f"rl.reward_function={mine}:other"]) == 2
    assert "defines no function other" in capsys.readouterr().err
