"""Between text and token ids in rollouts: the protocol's prompt in, the model's words with their tags out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from ...dialogue.chat_template import turn_close
from ...dialogue.encode import end_tokens
from ...dialogue.messages import Message
from ...dialogue.parts import PartEncoder
from ...dialogue.protocol import render_prompt


def prompt_ids(messages: Sequence[Mapping[str, Any]], tokenizer: Any) -> list[int]:
    """The ids that the model continues: chat template, generation prompt and the opening think tag."""
    text = render_prompt([cast(Message, dict(message)) for message in messages], tokenizer, merged=True)
    return _encoder(tokenizer)(text)


@lru_cache(maxsize=8)
def _encoder(tokenizer: Any) -> PartEncoder:
    """Remembers what the samples of a prompt, and the turns of an episode, have in common."""
    return PartEncoder(tokenizer)


def completion_text(ids: Sequence[int], tokenizer: Any) -> str:
    """What the model wrote, tags included, without the end-of-turn token (verl#1724 lost the tags)."""
    ids, ends = list(ids), end_tokens(tokenizer)
    while ids and ids[-1] in ends:
        ids.pop()
    return text_of(ids, tokenizer)


def text_of(ids: Sequence[int], tokenizer: Any) -> str:
    """The exact text of ids: special tokens stay, spaces are not tidied."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def lost_in_decoding(tokenizer: Any) -> list[str]:
    """The answers that come back from ids as another text than they went in; empty if all is well."""
    answers = (
        'A thought, "quoted".\n</think>\n\n[f(a="x", b=[1, {"c": None}])]',
        "One.\n</think>\n\n<tool_call>\n[f(), g(a=True)]\n</tool_call>",
        "Two.\n</think>\n\nPlain text, naïve café \u2013 \u4f60\u597d.",
    )
    close = turn_close(tokenizer).strip()
    lost = []
    for answer in answers:
        ids = tokenizer(answer + close, add_special_tokens=False)["input_ids"]
        if completion_text(ids, tokenizer) != answer:
            lost.append(answer)
    return lost
