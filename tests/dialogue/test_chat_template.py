"""Chat templates of any family: what they take, how they end an answer, and the same tokens everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.dialogue import (
    QWEN_CHAT_TEMPLATE,
    Message,
    StepEncoder,
    end_tokens,
    render_prompt,
    turn_close,
)
from funreason_train.dialogue.chat_template import form_of, structure
from funreason_train.errors import UserError

#: The shapes that families have, in this project's own words.
HEADERS = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
ALWAYS_PROMPTS = HEADERS.replace("{% if add_generation_prompt %}", "{% if true %}")
TURNS = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
INSTRUCT = (
    "{{ bos_token }}{% set system = messages[0].content if messages[0].role == 'system' else '' %}"
    "{% for m in (messages[1:] if system else messages) %}"
    "{% if m.role == 'user' %}[INST] {% if loop.last and system %}{{ system }}\n\n{% endif %}"
    "{{ m.content }}[/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
    "{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}"
)
THINKS = QWEN_CHAT_TEMPLATE.replace(r"<|im_start|>assistant\n", r"<|im_start|>assistant\n<think>\n")
FAMILIES = {
    "qwen": (QWEN_CHAT_TEMPLATE, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "<|im_end|>\n"),
    "thinks by itself": (THINKS, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "<|im_end|>\n"),
    "headers": (HEADERS, ("<|bos|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>"),
    "always prompts": (
        ALWAYS_PROMPTS,
        ("<|bos|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|eot_id|>",
    ),
    "turns": (TURNS, ("<bos>", "<start_of_turn>", "<end_of_turn>"), "<end_of_turn>\n"),
    "instruct": (INSTRUCT, ("<s>", "</s>", "[INST]", "[/INST]"), "</s>"),
}
MESSAGES: list[Message] = [
    {"role": "system", "content": "You call functions."},
    {"role": "user", "content": "What is 1 + 2?"},
    {"role": "assistant", "content": "[add(a=1, b=2)]"},
    {"role": "tool", "content": "['3']"},
]
TARGET = "<think>\nIt is three.\n</think>\n\nThe sum is 3."


def tokenizer_of(template: str, specials: tuple[str, ...], merges: bool = False) -> Any:
    """A byte-level tokenizer with a family's special tokens; `>` and a line break may be one token."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocab = {byte: number for number, byte in enumerate(alphabet)}
    pairs = []
    if merges:
        vocab[">Ċ"] = len(vocab)
        pairs.append((">", "Ċ"))
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=pairs))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.add_special_tokens(list(specials))
    end = "</s>" if "</s>" in specials else specials[-1]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=specials[0], eos_token=end, chat_template=template
    )


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("merges", [False, True])
def test_a_row_is_the_rollout_s_prompt_and_then_what_the_model_would_write(name: str, merges: bool) -> None:
    template, specials, close = FAMILIES[name]
    tokenizer = tokenizer_of(template, specials, merges)
    assert turn_close(tokenizer) == close
    prompt = render_prompt(MESSAGES, tokenizer, merged=True)
    assert prompt.count("<think>") == 1 and prompt.endswith("<think>")
    for part in ("You call functions.", "What is 1 + 2?", "[add(a=1, b=2)]", "['3']"):
        assert prompt.count(part) == 1
    step = StepEncoder(tokenizer).encode(MESSAGES, TARGET)
    shown = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert step.ids[: step.prompt] == shown, "the model continues the very tokens that a rollout shows"
    answer = step.ids[step.prompt :]
    ends = [number for number, one in enumerate(answer) if one in end_tokens(tokenizer)]
    assert len(ends) == 1, "one token ends the answer"
    text = tokenizer.decode(answer[: ends[0]], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert text == TARGET.removeprefix("<think>")
    assert tokenizer.decode(step.ids[step.learned : step.prompt]) in ("<think>", "")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_template_alone_is_understood_as_well(name: str) -> None:
    template, _, close = FAMILIES[name]
    if "eos_token" not in template:
        assert turn_close(template) == close


def test_roles_that_a_template_refuses_are_shown_in_those_it_takes() -> None:
    tokenizer = tokenizer_of(*FAMILIES["turns"][:2])
    form = form_of(tokenizer)
    assert not form.system and not form.tool
    assert render_prompt(MESSAGES, tokenizer, merged=True) == (
        "<bos><start_of_turn>user\nYou call functions.\n\nWhat is 1 + 2?<end_of_turn>\n"
        "<start_of_turn>model\n[add(a=1, b=2)]<end_of_turn>\n"
        "<start_of_turn>user\n<tool_response>\n['3']\n</tool_response><end_of_turn>\n"
        "<start_of_turn>model\n<think>"
    )


def test_a_template_may_count_on_a_system_message() -> None:
    counts = "{% if messages[1].content %}{% endif %}" + QWEN_CHAT_TEMPLATE
    assert render_prompt(MESSAGES, counts, merged=True) == render_prompt(
        MESSAGES, QWEN_CHAT_TEMPLATE, merged=True
    )


def test_a_date_in_the_template_is_not_today_s() -> None:
    """Llama 3.1 and later: a row must have the same tokens tomorrow."""
    dated = "{% if date_string is not defined %}{{ strftime_now('%d') }}{% endif %}{{ date_string }}"
    assert "26 Jul 2024" in render_prompt(MESSAGES, dated + QWEN_CHAT_TEMPLATE)


def test_the_tokens_that_turns_begin_and_end_with_are_known() -> None:
    assert sorted(structure(tokenizer_of(*FAMILIES["turns"][:2]))) == [
        "<bos>",
        "<end_of_turn>",
        "<start_of_turn>",
    ]
    assert "<|im_end|>" in structure(tokenizer_of(*FAMILIES["qwen"][:2]))


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "no token of its own"),
        ("{{ messages[-1].content }}<|end|>", "leaves out parts"),
        ("{{ raise_exception('never') }}", "cannot render a conversation .never."),
        ("{% if %}", "cannot render a conversation|Expected"),
    ],
)
def test_a_template_of_no_use_is_refused_with_the_reason(template: str, says: str) -> None:
    with pytest.raises((UserError, Exception), match=says):
        render_prompt(MESSAGES, template, merged=True)
