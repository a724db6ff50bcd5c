"""Mistakes of whoever runs the stage: told in one sentence, and nothing that was there is lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from re import search
from subprocess import run
from typing import Any

import pytest
from omegaconf import DictConfig

from funreason_train.commands.cli import main
from funreason_train.commands.line.loading import every_problem
from funreason_train.data import stage
from funreason_train.errors import UserError
from funreason_train.settings.resolve import run_of

Prepare = Callable[..., tuple[Path, dict[str, Any]]]


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_without_rows_says_why_and_leaves_the_earlier_result(prepare: Prepare, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": \n')
    words = ("data.datasets=[apigen]", f"data.apigen.path={bad}", f"data.out={tmp_path}/out")
    with pytest.raises(UserError, match=r"no row is left.*1 rejected as invalid_json; the first one, .*: "):
        prepare(*words)
    assert _lines(tmp_path / "out" / "rejected.jsonl")[0]["reason"] == "invalid_json"
    prepare("data.datasets=[apigen]", f"data.out={tmp_path}/out")
    before = (tmp_path / "out" / "sft" / "train.json").read_bytes()
    with pytest.raises(UserError, match=r"out\.failed"):
        prepare(*words)
    assert (tmp_path / "out" / "sft" / "train.json").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data.datasets=[apgien]"], "there is no data set 'apgien'; did you mean 'apigen'?"),
        (["data.apigen.path=missing.jsonl"], "missing.jsonl: there is no such file"),
        (["data.datasets=[mine]", "mine.format=apigen"], "data.mine.path: is not set"),
        (["data.tokenizer=/no/model"], "/no/model: there is no such folder"),
        (["data.datasets=[apigen,apigen]"], "data.datasets: names apigen twice"),
        (["data.datasets=[synth]", "data.synth.path=x.jsonl"], "x.jsonl: there is no such file"),
        (["data.datasets=[synth]", "data.synth.path=null"], "data.synth.path: is not set"),
    ],
)
def test_mistakes_are_found_before_anything_is_read(
    settings: Callable[..., DictConfig], words: list[str], sentence: str
) -> None:
    config = settings(*words)
    problems = [str(problem) for problem in stage.check(config, run_of(config))]
    assert len(problems) == 1 and sentence in problems[0]
    with pytest.raises(UserError):
        stage.run(config, run_of(config))


WRONG_VALUES = {
    "data.datasets=[]": "data.datasets=[]: must be a list of at least one item, each text",
    "data.apigen.format=csv": "data.apigen.format=csv: must be one of apigen, funreason_mt",
    "data.apigen.format=ShareGPT": "format: 'ShareGPT' is no format; such rows are read by apigen_mt",
    "data.apigen.weight=0": "data.apigen.weight=0: must be a number above 0 and at most 100",
    "data.funreason_mt.tools_missing=guess": "tools_missing=guess: must be infer or reject",
    "data.val_share=1": "data.val_share=1: must be a number of at least 0 and below 1",
    "data.overlong=truncate": "data.overlong=truncate: must be drop or fail",
    "data.dedup=fuzzy": "data.dedup=fuzzy: must be one of near, exact, off",
    "data.datasets=apigen": "must be a list of at least one item, each text. Write data.datasets=[apigen]",
    "data.apigen.rows=-5": "data.apigen.rows=-5: must be a whole number of at least 1, or null",
    "data.apigen.rows=0": "data.apigen.rows=0: must",
    "data.apigen.rows=2.5": "data.apigen.rows=2.5: must",
    "data.apigen.rows=true": "data.apigen.rows=true: must",
    "data.apigen.weight=-1": "data.apigen.weight=-1: must",
    "data.apigen.weight=nan": "data.apigen.weight=nan: must",
    "data.apigen.weight=often": "data.apigen.weight=often: must",
    "data.val_share=half": "data.val_share=half: must",
    "data.val_share=nan": "data.val_share=nan: must",
    "data.val_share=null": "data.val_share=null: must",
    "data.processes=0": "data.processes=0: must be a whole number from 1 to 1,024, or null",
    "data.max_prompt_tokens=0": "data.max_prompt_tokens=0: must",
    "data.decontaminate_ngram=0": "data.decontaminate_ngram=0: must be a whole number from 1 to 100",
    "data.parity_rows=0": "data.parity_rows=0: must",
    "data.augment.irrelevance=2": "data.augment.irrelevance=2: must be a number from 0 to 1",
    "data.augment.mask_names=x": "data.augment.mask_names=x: must",
    "data.augment.distractors=1.5": "data.augment.distractors=1.5: must be a whole number from 0 to 100",
    "data.augment.shuffle_tools=3": "data.augment.shuffle_tools=3: must be true or false",
    "data.apigen.dedup=near": "data.apigen.dedup=near: must be exact, or null",
    "seed=1.5": "seed=1.5: must be a whole number",
}


@pytest.mark.parametrize("word", WRONG_VALUES)
def test_a_value_that_cannot_be_meant_is_told_with_what_is_allowed(
    settings: Callable[..., DictConfig], word: str
) -> None:
    (problem,) = every_problem(settings(word), "data")
    assert WRONG_VALUES[word] in str(problem)


def test_a_model_folder_without_tokenizer(settings: Callable[..., DictConfig], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    config = settings(f"model.path={tmp_path}/model", "data.tokenizer=null")
    assert "holds no tokenizer" in str(stage.check(config, run_of(config))[0])


def test_files_that_are_not_ours_are_never_replaced(
    settings: Callable[..., DictConfig], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for place in (out, out / "thesis.tex"):
        config = settings(f"data.out={place}")
        assert "this tool did not create" in str(stage.check(config, run_of(config))[0])
        with pytest.raises(UserError, match="this tool did not create"):
            stage.run(config, run_of(config))
    assert (out / "thesis.tex").read_text() == "years of work"


def test_nor_are_files_that_were_put_beside_an_earlier_result(prepare: Prepare, tmp_path: Path) -> None:
    out, _ = prepare(f"data.out={tmp_path}/out")
    prepare(f"data.out={tmp_path}/out")
    (out / "mine.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"this tool did not create \(mine\.jsonl\)"):
        prepare(f"data.out={tmp_path}/out")
    assert (out / "mine.jsonl").read_text() == "{}"


def test_the_stage_is_light_to_import() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'pyarrow', 'llamafactory', 'verl'}"
    code = f"import sys, funreason_train.data.stage; sys.exit(bool({heavy} & set(sys.modules)))"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["datasets=[mine]", "mine.path=x.jsonl"],
            "mine.path: there is no data set 'mine'.*mine.format=FORMAT",
        ),
        (["datasets=[my-set]", "my-set.format=openai"], "'my-set' cannot be the name of a data set"),
        (["datasets=[apigen"], "The list is not closed: data.datasets=\\[apigen\\]"),
    ],
)
def test_a_data_set_of_ones_own_that_is_not_declared_rightly(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *words, "dry_run=true"]) == 2
    assert search(sentence, capsys.readouterr().err)


def test_a_data_set_that_is_declared_and_not_read_is_named(prepare: Prepare) -> None:
    own = ("mine.format=openai", "mine.path=x.jsonl")
    _, result = prepare("data.datasets=[apigen]", *(f"data.{word}" for word in own))
    assert any("mine is declared but not in" in note for note in result["shown"][0]["notes"])
