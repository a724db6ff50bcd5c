"""What of a text is prose, and what is quoted in it: code spans, formulas, fenced code."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPAN = re.compile(
    r"""(?<!`)(`{1,2})(?!`)[^`\n]++\1(?!`)
        |\$\$[^$]{1,2000}+\$\$ | \$(?![ ])[^$\n]{1,300}+(?<![ ])\$(?!\d) | \\\([^\n]{1,120}?\\\)""",
    re.VERBOSE,
)
_FENCE = re.compile(
    r"^[^\S\n]*(```+|~~~+)(?P<info>[^\n`]*+)\n(?P<body>.*?)(?:^[^\S\n]*\1[^\S\n]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Fence:
    """Fenced code.

    Attributes:
        info: The word behind the opening fence, in lower case.
        body: The code.
        start: Where the fence begins.
        end: Where it ends.
    """

    info: str
    body: str
    start: int
    end: int


def fences(text: str) -> list[Fence]:
    """The fenced code of a text; a fence that is not closed goes on to the end."""
    if "```" not in text and "~~~" not in text:
        return []
    return [
        Fence((match["info"].split() or [""])[0].lower(), match["body"], match.start(), match.end())
        for match in _FENCE.finditer(text)
    ]


def without_quotes(text: str) -> str:
    """The text with blanks in the place of code spans and formulas; as long as before.

    A text that is nothing but one code span is not prose with something quoted in it, and stays.
    """
    if "`" not in text and "$" not in text and "\\(" not in text:
        return text
    blanked = _SPAN.sub(lambda match: " " * len(match[0]), text)
    return blanked if _WORD.search(blanked) else text


def without_fences(text: str, found: list[Fence]) -> str:
    """The text with blanks in the place of fenced code; as long as before."""
    parts, at = [], 0
    for fence in found:
        parts += [text[at : fence.start], re.sub(r"[^\n]", " ", text[fence.start : fence.end])]
        at = fence.end
    return "".join([*parts, text[at:]])
