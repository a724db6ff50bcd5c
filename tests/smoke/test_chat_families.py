"""The chat templates that families ship (as TRL's wheel holds them): training rows are what rollouts show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from smoke.qwen3 import trl_template
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from funreason_train.dialogue import Message, StepEncoder, end_tokens, render_prompt, turn_close

pytestmark = pytest.mark.smoke
DIGESTS = {
    "qwen2_5": "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f",
    "qwen3": "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8",
    "qwen3_instruct_2507": "64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326",
    "llama3": "ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122",
    "llama3_1": "e10ca381b1ccc5cf9db52e371f3b6651576caee0a630b452e2816b2d404d4b65",
    "gemma": "ecd6ae513fe103f0eb62e8ab5bfa8d0fe45c1074fa398b089c93a7e70c15cfd6",
    "gemma3": "7de1c58e208eda46e9c7f86397df37ec49883aeece39fb961e0a6b24088dd3c4",
    "phi3": "dcaee66df77bfbb789ec541fe713218da30225a526f1db97138fc39ee6dc56aa",
    "deepseek_r1_distill": "56a1447ad31926fdc21fb07e56e5642bd9c850c4f52d8c8af7bbe5f079a84f5f",
    "llama3_2": "5816fce10444e03c2e9ee1ef8a4a1ea61ae7e69e438613f3b17b69d0426223a4",
    # Opens the think block itself, as Qwen3-Thinking-2507's does.
    "qwen3_5_think": "a4aee8afcf2e0711942cf848899be66016f8d14a889ff9ede07bca099c28f715",
}
#: What no package of a few MB ships is kept here (tests/fixtures/ATTRIBUTION.md).
KEPT = {"smollm2": Path(__file__).parents[1] / "fixtures" / "smollm2.jinja"}
CLOSES = {
    "llama3": "<|eot_id|>",
    "llama3_1": "<|eot_id|>",
    "llama3_2": "<|eot_id|>",
    "gemma": "<end_of_turn>\n",
    "gemma3": "<end_of_turn>\n",
    "phi3": "<|end|>\n",
    "deepseek_r1_distill": "<｜end▁of▁sentence｜>",
}
MESSAGES: list[Message] = [
    {"role": "system", "content": "You call functions."},
    {"role": "user", "content": "What is 1 + 2?"},
    {"role": "assistant", "content": "[add(a=1, b=2)]"},
    {"role": "tool", "content": "['3']"},
    {"role": "assistant", "content": "Three."},
    {"role": "user", "content": "And 2 + 2?"},
]
TARGET = "<think>\nI add them.\n</think>\n\n[add(a=2, b=2)]"


def tokenizer_of(template: str, close: str) -> Any:
    """Bytes, `>` with a line break as one token, and whatever looks like a special token in the template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {byte: number for number, byte in enumerate([*alphabet, ">Ċ"])}
    inner = Tokenizer(models.BPE(vocab=vocab, merges=[(">", "Ċ")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    marks = set(re.findall(r"<[|｜][^<>\s]+[|｜]>|<(?:start|end)_of_turn>", template))
    inner.add_special_tokens(sorted(marks | {"<bos>", close.strip()}))
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<bos>", eos_token=close.strip(), chat_template=template
    )


def template_of(name: str) -> str:
    if name in KEPT:
        return KEPT[name].read_text(encoding="utf-8")
    return trl_template(f"trl/chat_templates/{name}.jinja", DIGESTS[name])


@pytest.mark.parametrize("name", [*DIGESTS, *KEPT])
def test_a_row_is_the_rollout_s_prompt_and_then_what_the_model_would_write(name: str) -> None:
    close = CLOSES.get(name, "<|im_end|>\n")
    tokenizer = tokenizer_of(template_of(name), close)
    assert turn_close(tokenizer) == close
    prompt = render_prompt(MESSAGES, tokenizer, merged=True)
    assert prompt.count("<think>") == 1 and prompt.endswith("<think>")
    for message in MESSAGES:
        assert prompt.count(message["content"]) == 1, message
    step = StepEncoder(tokenizer).encode(MESSAGES, TARGET)
    assert step.ids[: step.prompt] == tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer = step.ids[step.prompt :]
    (end,) = [number for number, one in enumerate(answer) if one in end_tokens(tokenizer)]
    text = tokenizer.decode(answer[:end], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert text == TARGET.removeprefix("<think>")
