"""When training has to compare tokens again, and what it says if they differ."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from funreason_train.dialogue.sharegpt import sft_messages
from funreason_train.errors import UserError
from funreason_train.parity import gate
from funreason_train.parity import tokens as parity
from funreason_train.run.process import ChildFailed

DIFFERENCE = "r/0.0: the ids differ: at token 3 of 9 (SFT) and 9 (verl's parquet)"


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}, indent=1))


@pytest.fixture
def model(tokenizer_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tokenizer_folder, tmp_path / "model")


@pytest.fixture
def proved(prepare: Callable[..., tuple[Path, Any]], model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the stage, whose comparison with `model` found no difference."""
    monkeypatch.setattr(parity, "token_parity", lambda *_: None)
    return prepare("data.parity=sample", f"data.tokenizer={model}")[0]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The comparisons that were started; each is done in this process, without a framework."""
    jobs: list[dict[str, Any]] = []

    def call(function: Callable[[Any], None], job: dict[str, Any], environment: dict[str, str]) -> None:
        jobs.append(json.loads(json.dumps(job)))
        function(jobs[-1])

    monkeypatch.setattr(gate, "call_in_process", call)
    return jobs


@pytest.fixture
def config(settings: Callable[..., DictConfig]) -> DictConfig:
    return settings("data.parity=sample")


def test_what_the_data_stage_proved_is_not_compared_again(
    proved: Path, model: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    gate.ensure(proved, str(model), config)
    assert compared == []


def test_a_tokenizer_saved_again_beside_its_trained_model_is_the_same(
    proved: Path, model: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    """As LLaMA-Factory leaves it: more keys, defaults spelled out, another layout of the file."""
    change(model / "tokenizer_config.json", is_local=True, padding_side="right", add_bos_token=False)
    change(model / "tokenizer_config.json", eos_token={"content": "<|im_end|>", "special": True})
    change(model / "tokenizer.json", truncation={"max_length": 8}, padding={"pad_id": 0})
    gate.ensure(proved, str(model), config)
    assert compared == []


def other_words(model: Path, config: DictConfig) -> None:
    words = json.loads((model / "tokenizer.json").read_text())
    words["model"]["merges"].pop()
    change(model / "tokenizer.json", **words)


def other_chat_template(model: Path, config: DictConfig) -> None:
    file = model / "chat_template.jinja"
    file.write_text(file.read_text() + " ")


def other_end(model: Path, config: DictConfig) -> None:
    change(model / "tokenizer_config.json", eos_token="<|endoftext|>")


@pytest.mark.parametrize("other", [other_words, other_chat_template, other_end])
def test_anything_that_decides_tokens_is_compared_again(
    other: Callable[[Path, DictConfig], None],
    proved: Path,
    model: Path,
    config: DictConfig,
    compared: list[dict[str, Any]],
) -> None:
    other(model, config)
    gate.ensure(proved, str(model), config)
    (job,) = compared
    assert job == {
        "data": str(proved),
        "model": str(model),
        "count": 12,
        "seed": 0,
        "steps": True,
    }


def test_so_are_rows_written_after_the_proof(
    proved: Path, model: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    later = (proved / "manifest.json").stat().st_mtime_ns + 1_000_000_000
    os.utime(proved / "sft" / "train.json", ns=(later, later))
    gate.ensure(proved, str(model), config)
    assert len(compared) == 1


def test_and_rows_whose_stage_compared_nothing(
    prepare: Callable[..., tuple[Path, Any]],
    model: Path,
    config: DictConfig,
    compared: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, _ = prepare(f"data.tokenizer={model}")
    assert json.loads((data / "manifest.json").read_text())["parity"] is None
    seen: list[Any] = []
    monkeypatch.setattr(parity, "token_parity", lambda rows, *_: seen.extend(rows))
    shutil.rmtree(data / "rl")  # rows for SFT alone will do
    gate.ensure(data, str(model), config)
    assert len(compared) == 1 and len(seen) >= 12


def test_a_difference_is_one_sentence_that_names_the_token(
    proved: Path,
    model: Path,
    config: DictConfig,
    compared: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other_chat_template(model, config)
    monkeypatch.setattr(parity, "token_parity", lambda *_: DIFFERENCE)
    with pytest.raises(UserError) as caught:
        gate.ensure(proved, str(model), config)
    assert str(caught.value) == f"{model}: {DIFFERENCE}. {gate.FIX}"


def test_so_is_a_model_without_a_chat_template(
    proved: Path, model: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    (model / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="has no chat template") as caught:
        gate.ensure(proved, str(model), config)
    assert str(model) in str(caught.value)


def test_a_comparison_that_breaks_off_lets_nothing_pass(
    proved: Path, model: Path, config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_chat_template(model, config)
    monkeypatch.setattr(gate, "compare", "funreason_train.parity.gate:not_there")
    with pytest.raises(ChildFailed, match="not_there"):
        gate.ensure(proved, str(model), config)


def test_rows_from_elsewhere_are_left_alone_and_that_is_said(
    tmp_path: Path, model: Path, config: DictConfig, compared: list[dict[str, Any]], capfd: Any
) -> None:
    (tmp_path / "mine" / "sft").mkdir(parents=True)
    (tmp_path / "mine" / "sft" / "train.json").write_text("[]")
    gate.ensure(tmp_path / "mine", str(model), config)
    assert compared == []
    assert "their tokens are not compared" in capfd.readouterr().out


def test_the_gate_can_be_switched_off(
    proved: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    config.data.parity = False  # what `off` is in YAML
    gate.ensure(proved, "some/model", config)
    assert compared == []


@pytest.fixture
def played(
    prepare: Callable[..., tuple[Path, Any]],
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    synthesise: Callable[..., Path],
) -> tuple[Path, list[Any]]:
    """A proved data folder with tasks, and the rows that a later comparison is given."""
    seen: list[Any] = []
    monkeypatch.setattr(parity, "token_parity", lambda rows, *_: seen.extend(rows))
    made = synthesise("maker=embedded", "trajectories=20", "heldout_tasks=4", "tuning_tasks=4")
    data, _ = prepare(
        "data.datasets=[synth]",
        f"data.synth.path={made}/conversations.jsonl",
        "data.parity=sample",
        f"data.tokenizer={model}",
        "data.val_share=0.2",
    )
    seen.clear()
    return data, seen


def in_environments(config: DictConfig) -> DictConfig:
    return OmegaConf.merge(config, {"environment_modules": []})  # type: ignore[return-value]


def test_first_prompts_of_tasks_are_compared_even_where_the_steps_are_proved(
    played: tuple[Path, list[Any]], model: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    data, seen = played
    gate.ensure(data, str(model), in_environments(config), data / "rl" / "env_train.parquet")
    assert [job["steps"] for job in compared] == [False]
    assert len(seen) == 12
    for row in seen:
        messages, target = sft_messages(row.sft)
        assert messages == row.prompt and messages[-1]["role"] == "user"
        assert target.startswith("<think>")
    # A step of the same conversation shows the same prompt in SFT.
    steps = {row.id: sft_messages(row.sft)[0] for row in parity.sample_rows(data, 1000, 0)}
    assert all(steps[f"{row.id.removeprefix('the task ')}/0.0"] == row.prompt for row in seen)


def test_an_episode_that_shows_another_prompt_than_its_row_is_found_out(
    played: tuple[Path, list[Any]], model: Path, config: DictConfig, compared: list[dict[str, Any]]
) -> None:
    """The data were made with one system prompt, and the rollouts are to show another."""
    data, seen = played
    other = in_environments(config)
    other.protocol.system = "compact"
    gate.ensure(data, str(model), other, data / "rl" / "env_train.parquet")
    assert seen and all(sft_messages(row.sft)[0] != row.prompt for row in seen)
