"""Text that looks like a control token, written so that it stays text: nobody's words can close a turn.

A tokenizer turns `<|im_end|>` or `</think>` into one token wherever it stands. So a prompt and a target never
show such a text as it is: a backslash goes behind its first character, `<\\|im_end|>`, one more where there
are backslashes already, so that `unescape_markers` gives the very text back. LLaMA-Factory's `{{idx}}`
becomes `{{\\idx}}` in the same way. In the tools' JSON and in call lists the escape that these languages have
does the same: `\\u003c` for `<`.

The exports hold the escaped text and inference escapes with this function, so that all see the same tokens
and no framework needs a setting. Hugging Face's own, `split_special_tokens`, would not do: it leaves added
tokens that are not marked special (`<think>` in Qwen3) as they are, and splits the template's own markers.
"""

from __future__ import annotations

import re

from ..calls.markers import CALL_CLOSE, CALL_OPEN, TOKEN_LIKE

_LIKE = TOKEN_LIKE.pattern.removeprefix("<")
_PLACE = re.compile(rf"<\\*(?={_LIKE})|\{{\{{\\*(?=idx\}}\}})")
_ESCAPED = re.compile(rf"<\\+(?={_LIKE})|\{{\{{\\+(?=idx\}}\}})")


class EscapedText(str):
    """Text that has been escaped: marks it, so that escaping again leaves it alone. Files lose the mark."""

    __slots__ = ()


def escape_markers(text: str) -> str:
    """The text as a prompt or a target shows it; the text itself, unless something in it is token-like.

    `unescape_markers` is the inverse. Linear in the text's length.
    """
    if isinstance(text, EscapedText) or not has_markers(text):
        return text
    return EscapedText(_PLACE.sub(lambda match: match[0] + "\\", text))


def unescape_markers(text: str) -> str:
    """The text that `escape_markers` was given."""
    return _ESCAPED.sub(lambda match: match[0][:-1], text)


def has_markers(text: str) -> bool:
    """Whether escaping changes a text."""
    return ("<" in text or "{{" in text) and _PLACE.search(text) is not None


def escape_answer(text: str) -> str:
    """What the history shows of an answer that a model wrote: its own escapes stand, raw markers get one.

    The call tags are part of an answer's form.
    """
    if "<" not in text:
        return text
    return TOKEN_LIKE.sub(
        lambda match: match[0] if match[0] in (CALL_OPEN, CALL_CLOSE) else "<\\" + match[0][1:], text
    )
