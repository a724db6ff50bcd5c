"""Counting shares work between the steps of a conversation and must not change the counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from funreason_train.data.lengths import load_tokenizer, measure
from funreason_train.data.sources import apigen, funreason_mt
from funreason_train.dialogue import Step, render_prompt, render_target, steps_of
from funreason_train.errors import UserError

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _steps() -> list[Step]:
    options = {"error_tool_response": "keep", "tools_missing": "infer"}
    chats = [
        funreason_mt.convert(json.loads(line), options)
        for line in (FIXTURES / "funreason_mt_3rows.jsonl").open()
    ]
    queries = [apigen.convert(json.loads(line), {}) for line in (FIXTURES / "apigen_8rows.jsonl").open()]
    return [step for trajectory in [*chats, *queries] for step in steps_of(trajectory)]


def test_counts_are_those_of_each_text_alone(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    steps = _steps()

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    expected = [
        (
            count(render_prompt(s.messages, tokenizer)),
            count(render_target(s.thought, s.answer) + "<|im_end|>"),
        )
        for s in steps
    ]
    assert measure(steps, tokenizer) == expected
    assert measure(steps[::-1], tokenizer) == expected[::-1]  # no step is a prefix of the next one now


def test_a_template_that_rewrites_history_is_counted_right(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    tokenizer.chat_template = (
        "{{ messages | length }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        "{% endfor %}<|im_start|>assistant\n"
    )
    steps = _steps()
    expected = [len(tokenizer(render_prompt(s.messages, tokenizer))["input_ids"]) for s in steps]
    assert [prompt for prompt, _ in measure(steps, tokenizer)] == expected


def test_what_cannot_measure(tokenizer_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        load_tokenizer(str(tmp_path))
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).write_bytes((tokenizer_folder / name).read_bytes())
    with pytest.raises(UserError, match="chat template"):
        load_tokenizer(str(bare))
