"""Keeps secrets of the environment out of what is written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

#: A variable with one of these words in its name holds a secret: HF_TOKEN, OPENAI_API_KEY, DB_PASSWORD.
_WORDS = frozenset(
    ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASS", "CREDENTIAL", "CREDENTIALS", "APIKEY")
)
_SHORTEST = 6  # characters of a value that is worth hiding; shorter ones occur in ordinary words
_ADDRESS = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return not _WORDS.isdisjoint(name.upper().split("_"))


def redacted(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text with every secret of the environment as `[NAME]`, and without passwords in addresses."""
    hidden = {value: name for name, value in environ.items() if is_secret(name) and len(value) >= _SHORTEST}
    for value in sorted(hidden, key=len, reverse=True):  # a secret may contain another
        text = text.replace(value, f"[{hidden[value]}]")
    return _ADDRESS.sub(r"\1[PASSWORD]@", text)


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that needs none of its secrets."""
    return {name: value for name, value in environ.items() if not is_secret(name)}
