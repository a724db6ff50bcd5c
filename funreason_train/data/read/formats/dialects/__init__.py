"""Conversations as other APIs and libraries hold them, told by their keys and put into OpenAI's form.

A module has `speaks(row)`, which looks at a few keys, and `translated(row)`; the first that speaks reads it.
"""

from __future__ import annotations

from typing import Any

from . import answers, bedrock, cohere, gemini, glaive, langchain, llamaindex, openai_responses, vercel
from .dialect import Translated

_DIALECTS = (vercel, gemini, bedrock, openai_responses, llamaindex, langchain, glaive, cohere)


def own_form(row: Any) -> Translated | None:
    """The row in OpenAI's form, and the flags for what is left out; None where it is in that form already.

    Raises:
        RowError: as the dialects.
    """
    flags: list[str] = []
    found = row
    if answers.speaks(row):  # the dialect is that of the messages, with or without the answer
        found, flags = answers.translated(row)
    for dialect in _DIALECTS:
        if dialect.speaks(found):
            own, more = dialect.translated(found)
            return own, [*flags, *more]
    return None if found is row else (found, flags)
