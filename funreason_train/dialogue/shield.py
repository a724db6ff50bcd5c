"""A model's own special tokens in somebody's text: written so that its tokenizer leaves them text.

The exports escape what any tokenizer may take for a token of its own (see `escape`), so that all frameworks
see the same. What only one family has, `<end_of_turn>`, `[INST]` or `</s>`, is known where its tokenizer is:
training, rollouts and evaluation all render with it, and so all show the same backslash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..calls.markers import TOKEN_LIKE
from ..calls.parse import CallSyntaxError, parse_calls
from . import chat_template
from .messages import Message

_MARKS: dict[tuple[str, ...], re.Pattern[str] | None] = {}


def own_marks(source: Any) -> re.Pattern[str] | None:
    """What a tokenizer takes for special tokens and no export escapes; None where there is nothing.

    Args:
        source: A Hugging Face tokenizer, or a chat template, which has no tokens.
    """
    if isinstance(source, str):
        return None
    key = chat_template.key_of(source)
    if key not in _MARKS:
        marks = [
            token
            for token in chat_template.specials_of(source)
            if len(token.strip()) > 1 and not TOKEN_LIKE.fullmatch(token)
        ]
        _MARKS[key] = re.compile("|".join(map(re.escape, marks))) if marks else None
    return _MARKS[key]


def shielded(messages: Sequence[Message], source: Any) -> Sequence[Message]:
    """The messages without a special token of the tokenizer in any text; themselves if there is none."""
    marks = own_marks(source)
    if marks is None or not any(marks.search(one["content"]) for one in messages):
        return messages
    return [
        {"role": one["role"], "content": shield(one["content"], marks, one["role"] == "assistant")}
        for one in messages
    ]


def shield(text: str, marks: re.Pattern[str] | None, answer: bool = False) -> str:
    """A text without special tokens: a backslash goes behind the first character of each.

    Args:
        text: The text.
        marks: From `own_marks`.
        answer: Whether it is a response; in a call list, where a backslash would be another value, the
            character becomes its escape, `\\u005b` for `[`.
    """
    if marks is None or not marks.search(text):
        return text
    if answer and _is_calls(text):
        return marks.sub(lambda match: f"\\u{ord(match[0][0]):04x}{match[0][1:]}", text)
    return marks.sub(lambda match: match[0][0] + "\\" + match[0][1:], text)


def _is_calls(text: str) -> bool:
    try:
        return bool(parse_calls(text.strip()))
    except CallSyntaxError:
        return False
