"""Prompts that are encoded part by part have the ids of the whole."""

from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock

from funreason_train.dialogue import render_prompt
from funreason_train.evaluate.serve.encoding import PromptEncoder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    return AutoTokenizer.from_pretrained(bfcl_mock.make_model(folder, ["some text, some more"] * 9, 320))


def conversation(turns: Any) -> Any:
    messages = [{"role": "system", "content": "Some tools: <tool_call>, <think>."}]
    for number in range(turns):
        messages.append({"role": "user", "content": f"Some  text {number}\n\n é😀 "})
        messages.append({"role": "assistant", "content": " [some(a=1)]\n"})
        messages.append({"role": "tool", "content": '{"more": [1]}'})
    return messages


def test_the_ids_are_those_of_the_whole_text_long_after_the_checks(tokenizer: Any) -> None:
    encode = PromptEncoder(tokenizer)
    for turns in range(1, 20):
        text = render_prompt(conversation(turns), tokenizer)
        assert encode(text) == tokenizer(text, add_special_tokens=False).input_ids
    assert encode._remembered.cache_info().hits > 100
    assert encode("no mark at all") == tokenizer("no mark at all", add_special_tokens=False).input_ids


def test_a_tokenizer_that_looks_across_its_special_tokens_encodes_whole_texts(tokenizer: Any) -> None:
    class Odd:
        """Counts the text it is given, so that parts never add up to a whole."""

        added_tokens_decoder = tokenizer.added_tokens_decoder

        def __call__(self, text: Any, add_special_tokens: Any) -> Any:
            return type("Encoded", (), {"input_ids": [len(text)]})

    encode = PromptEncoder(Odd())
    for turns in (1, 2, 3):
        text = render_prompt(conversation(turns), tokenizer)
        assert encode(text) == [len(text)]
