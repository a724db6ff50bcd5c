"""The prompts of model agents: files under synth/prompts, whose hash stands in the manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from ...calls import Call, render_calls
from ...run.fingerprint import digest_file
from ..chain.query import written

FOLDER = Path(__file__).parents[1] / "prompts"


@cache
def _template(name: str) -> Template:
    return Template((FOLDER / f"{name}.md").read_text(encoding="utf-8"))


def prompt(name: str, **values: str) -> str:
    """A prompt with its values in place.

    Args:
        name: The file's, without `.md`.
        values: For each `$name` in it.
    """
    return _template(name).substitute(values)


def digests() -> dict[str, str]:
    """File -> its hash."""
    return {path.name: digest_file(path) for path in sorted(FOLDER.glob("*.md"))}


def as_calls(calls: Iterable[Call]) -> str:
    """Calls, one a line; a sentence if there are none."""
    return "\n".join(render_calls([one])[1:-1] for one in calls) or "(none)"


def as_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """Documents, one a line."""
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in documents) or "(none)"


def as_values(values: Iterable[tuple[str, Any]], indent: str = "") -> str:
    """Names with their values as a user would write them, one a line."""
    found = dict.fromkeys(f"{indent}- {name.replace('_', ' ')}: {_text(value)}" for name, value in values)
    return "\n".join(found) or f"{indent}- (none)"


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else written(value)


def read_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in what a model wrote, whatever stands around it; None if there is none."""
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"\{", text[:20_000])):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None
