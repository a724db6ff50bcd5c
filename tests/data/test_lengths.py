"""Counting shares work between the steps of a conversation and must not change the counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from funreason_train.data.measure.lengths import Lengths, Unlike
from funreason_train.data.read.formats import apigen, funreason_mt
from funreason_train.dialogue import Step, render_prompt, render_target, steps_of
from funreason_train.errors import UserError
from funreason_train.models.tokenizers import load_tokenizer

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _chats() -> list[list[Step]]:
    """The steps of each conversation."""
    options = {"error_tool_response": "keep", "tools_missing": "infer"}
    chats = [
        funreason_mt.convert(json.loads(line), options)
        for line in (FIXTURES / "funreason_mt_3rows.jsonl").open()
    ]
    queries = [apigen.convert(json.loads(line), {}) for line in (FIXTURES / "apigen_8rows.jsonl").open()]
    return [steps_of(trajectory) for trajectory in [*chats, *queries]]


def _alone(chats: list[list[Step]], tokenizer: Any) -> list[list[tuple[int, int]]]:
    """The count of each text by itself."""

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    return [
        [
            (
                count(render_prompt(step.messages, tokenizer, merged=True)),
                count(render_target(step.thought, step.answer) + "<|im_end|>"),
            )
            for step in chat
        ]
        for chat in chats
    ]


@pytest.mark.parametrize("by_roles", [True, False])
def test_counts_are_those_of_each_text_alone(tokenizer_folder: Path, by_roles: bool) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    chats = _chats()
    lengths = Lengths(tokenizer, by_roles)
    assert lengths.count(chats) == _alone(chats, tokenizer)
    backwards = [chat[::-1] for chat in chats]  # no step is a prefix of the last one now
    assert lengths.count(backwards) == _alone(backwards, tokenizer)


def test_what_roles_told_once_holds_for_other_words(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    chats = _chats()
    lengths = Lengths(tokenizer)
    lengths.count(chats)
    others = [
        [
            replace(step, messages=tuple({**m, "content": f"{m['content']} and {n}"} for m in step.messages))
            for step in chat
        ]
        for n in range(20)
        for chat in chats
    ]
    assert lengths.count(others) == _alone(others, tokenizer)


@pytest.mark.parametrize("what", ["messages | length", "messages | last | length"])
def test_a_template_that_rewrites_history_is_counted_right(tokenizer_folder: Path, what: str) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    tokenizer.chat_template = (
        "{{ " + what + " }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        "{% endfor %}<|im_start|>assistant\n"
    )
    chats = _chats()
    assert Lengths(tokenizer).count(chats) == _alone(chats, tokenizer)


def test_a_template_that_words_steer_is_noticed(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    tokenizer.chat_template = (
        "{% if 'odd' in messages[1].content %}{{ messages | length }}{% endif %}{% for m in messages %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    chat = max(_chats(), key=len)
    odd = [
        replace(step, messages=(step.messages[0], {"role": "user", "content": "odd"}, *step.messages[2:]))
        for step in chat
    ]
    lengths = Lengths(tokenizer)
    with pytest.raises(Unlike):
        lengths.count([chat] + [odd] * 20)
    assert Lengths(tokenizer, by_roles=False).count([chat, odd]) == _alone([chat, odd], tokenizer)


def test_what_cannot_measure(tokenizer_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        load_tokenizer(str(tmp_path))
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).write_bytes((tokenizer_folder / name).read_bytes())
    with pytest.raises(UserError, match="chat template"):
        load_tokenizer(str(bare))
