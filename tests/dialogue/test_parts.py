"""Prompts that are encoded part by part have the ids of the whole."""

from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock

from funreason_train.dialogue import StepEncoder, render_prompt, turn_close
from funreason_train.dialogue.parts import PartEncoder, _marks


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
    encode = PartEncoder(tokenizer)
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
            return {"input_ids": [len(text)]}

    encode = PartEncoder(Odd())
    for turns in (1, 2, 3):
        text = render_prompt(conversation(turns), tokenizer)
        assert encode(text) == [len(text)]


def test_steps_have_the_ids_of_whole_texts_and_cost_what_is_new_in_them(tokenizer: Any) -> None:
    asked = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer, name)

        def __call__(self, text: str, **words: Any) -> Any:
            asked.append(len(text))
            return tokenizer(text, **words)

    encoder, messages = StepEncoder(Counting()), conversation(40)
    whole = 0
    for end in range(2, len(messages), 3):
        history, target = messages[:end], f"<think>\nWhat of {end}?</think>\n\n[some(a={end})]"
        step = encoder.encode(history, target)
        rest = target.removeprefix("<think>") + turn_close(tokenizer)
        text = render_prompt(history, tokenizer, merged=True) + rest
        assert step.ids == tokenizer(text, add_special_tokens=False).input_ids
        whole += len(text)
    assert sum(asked) < whole / 2


@pytest.mark.parametrize(
    ("other", "cuts"),
    [
        ("<|a|><|im_start|>", False),
        ("x<|im_", False),  # half of it
        ("<|im_start|>b", True),
        ("<|im_end|>", True),
    ],
)
def test_no_cut_tears_another_added_token(other: str, cuts: bool) -> None:
    from tokenizers import AddedToken

    added = [AddedToken("<|im_start|>", special=True, normalized=False), AddedToken(other, special=False)]
    assert (_marks(added) == ["<|im_start|>"]) is cuts


@pytest.mark.parametrize("wrong", ["lstrip", "normalized", "single_word"])
def test_tokens_that_look_to_their_left_are_no_place_to_cut(wrong: str) -> None:
    from tokenizers import AddedToken

    assert _marks([AddedToken("<a>", special=True, **{"normalized": False, wrong: True})]) == []
    assert _marks([AddedToken("<a>", special=True, normalized=False, rstrip=True)]) == ["<a>"]
