"""Warnings from what others measured, before time is spent."""

from pathlib import Path

import pytest

from funreason_train.cluster import evidence
from funreason_train.commands.cli import main


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("Qwen/Qwen3-4B-Thinking-2507", True),
        ("/models/Qwen3-4B-thinking", True),
        ("/thinking/Qwen3-4B-Instruct-2507", False),
        ("Qwen/Qwen3-4B-Instruct-2507", False),
    ],
)
def test_a_thinking_base_is_known_by_its_own_name(model: str, thinks: bool) -> None:
    assert evidence.is_thinking(model) is thinks
    assert bool(evidence.of_sft(model, "full")) is thinks
    assert bool(evidence.of_rl(model, 14_000)) is thinks
    assert not evidence.of_rl(model, 1_000)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sft.finetuning_type=lora"], "no gain from LoRA"),
        (["model.path=Qwen/Qwen3-4B-Thinking-2507"], "36.2 % after SFT"),
        ([], ""),
    ],
)
def test_a_dry_run_warns_of_what_brought_others_no_gain(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sft", "+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "dry_run=true", *words]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown and bool(said) == ("an independent reproduction" in shown)
