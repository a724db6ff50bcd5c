"""Data inside a page: named blocks of JSON, compressed, which the page's script opens on demand.

A block is `<script type="text/plain" id="block-NAME">BASE64 OF GZIP</script>`; nothing in it can be markup.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

#: Longest text of one field; the whole stands in the run's own files.
LONGEST = 16_000


def pack(value: Any) -> str:
    """A value as the text of a block; the same value gives the same text."""
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(raw.encode("utf-8", "backslashreplace"), 6, mtime=0)).decode(
        "ascii"
    )


def unpack(block: str) -> Any:
    """The inverse of `pack`."""
    return json.loads(gzip.decompress(base64.b64decode(block)))


def blocks_of(page: str) -> dict[str, Any]:
    """The blocks of a page by name, for tests and other programs."""
    found = re.findall(r'<script type="text/plain" id="block-([\w-]+)">([^<]*)</script>', page)
    return {name: unpack(text) for name, text in found}


def shortened(text: str, where: str = "the .jsonl has them", most: int = LONGEST) -> str:
    """A text of at most about `most` characters, with a note of what was left out of its middle.

    Args:
        text: The text.
        where: What holds the whole.
        most: Characters that are kept.
    """
    if len(text) <= most:
        return text
    half = most // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n\n[… {left_out} characters left out here; {where} …]\n\n{text[-half:]}"


class Texts:
    """Texts by number: prompts and answers repeat.

    A text is held as itself, or as [number of an earlier text, how much of its beginning it shares, rest]:
    the prompts of a conversation each repeat the one before.
    """

    def __init__(self, where: str = "the .jsonl has them") -> None:
        self.all: list[str | Sequence[Any]] = []
        self._where = where
        self._numbers: dict[str, int] = {}
        self._held: list[str] = []

    def number(self, text: str, after: int | None = None) -> int:
        """The number of a text.

        Args:
            text: The text; a long one is shortened.
            after: The number of a text that it probably begins with.
        """
        if text not in self._numbers:
            kept = shortened(text, self._where)
            self._numbers[text] = len(self.all)
            shared = _shared(self._held[after], kept) if after is not None else 0
            self.all.append([after, shared, kept[shared:]] if shared > 200 else kept)
            self._held.append(kept)
        return self._numbers[text]


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike.

    Never ends between the halves of a surrogate pair: JavaScript would count the rest otherwise. Characters
    beyond the basic plane make two units there, so the share ends before the first of them.
    """
    most = min(len(one), len(other))
    low = 0
    while low < most:
        high = min(most, low + 4096)
        if one[low:high] != other[low:high]:
            low += next(n for n in range(high - low) if one[low + n] != other[low + n])
            break
        low = high
    wide = re.search("[\U00010000-\U0010ffff]", one[:low])
    return wide.start() if wide else low


def checked(blocks: Mapping[str, str]) -> Mapping[str, str]:
    """The blocks, if they can stand in a page.

    Raises:
        ValueError: if a name or a text has characters that a block has not.
    """
    for name, text in blocks.items():
        if not re.fullmatch(r"[\w-]+", name) or not re.fullmatch(r"[A-Za-z0-9+/=]*", text):
            raise ValueError(f"{name!r} is not a block of a page")
    return blocks
