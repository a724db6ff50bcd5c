"""The failure browser: one page, without any address in it, that shows what the models got wrong.

Nothing that a model or a data set wrote becomes markup: the data travels as compressed base64, the page's
script writes it as plain text only, and the page's policy forbids it to load or send anything.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pages import charts
from ..pages.page import render_page
from ..run.files import write_text
from .attempts import Attempts
from .results import failure

_LONGEST = 16_000  # characters of one text; the whole stands in the .jsonl files

Tries = Mapping[str, Sequence[Mapping[str, Any]]]
"""Task id to what one model did, one item an attempt: `{"category", "right", "why", "question", "gold",
"completions", "results", "prompt", "attempt"}`."""


def failed_tasks(played: Sequence[Sequence[Mapping[str, Any]]], attempts: Attempts) -> dict[str, list[Any]]:
    """What one model did in each task, for `write_browser`.

    Args:
        played: The rows of each attempt.
        attempts: Which attempts they are.
    """
    found: dict[str, list[Any]] = {}
    for one, rows in zip(attempts.all, played, strict=True):
        for row in rows:
            seen = failure(row)
            found.setdefault(row["id"], []).append(
                {
                    "category": row["category"],
                    "right": bool(row["right"]),
                    "why": list(row["reasons"]),
                    "question": seen["user"],
                    "gold": "\n".join(seen["gold"]),
                    "completions": seen["completions"],
                    "results": ["\n".join(part) for part in seen["results"]],
                    "prompt": seen["prompt"],
                    "attempt": label(one.seed, one.sample) if len(attempts.all) > 1 else "",
                }
            )
    return found


def label(seed: int, sample: int) -> str:
    """An attempt's name on the page."""
    return f"seed {seed}, sample {sample}"


def write_browser(
    path: Path,
    title: str,
    models: Mapping[str, Tries],
    tasks: int,
    shares: Sequence[charts.Share] = (),
) -> int:
    """Writes the page.

    Args:
        path: Where to.
        title: Its heading.
        models: Model name to its tries, in the order of the tables.
        tasks: How many tasks there are, right ones included.
        shares: How often each model is right, for a chart above the list.

    Returns:
        How many tasks are shown: those that some attempt of some model got wrong.
    """
    texts = _Texts()
    names = list(models)
    entries = []
    for task in _any_wrong(models):
        tries = [[_packed(one, texts) for one in models[name].get(task, ())] for name in names]
        category = next(one["category"] for name in names for one in models[name].get(task, ()))
        entries.append({"id": task, "category": category, "tries": tries})
    data = {"models": names, "tasks": tasks, "texts": texts.all, "entries": entries}
    packed = gzip.compress(
        json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace"), 6, mtime=0
    )
    page = render_page(
        "failures.html",
        title=f"{title}: failures",
        shares=charts.intervals("Tasks done right", shares) if shares else None,
        data=base64.b64encode(packed).decode("ascii"),
    )
    write_text(path, page)
    return len(entries)


def read_browser(path: Path) -> dict[str, Any]:
    """The data inside a page, for tests and other programs."""
    page = path.read_text(encoding="utf-8")
    packed = page.partition('id="data">')[2].partition("<")[0]
    value: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return value


def _any_wrong(models: Mapping[str, Tries]) -> Iterable[str]:
    wrong = (
        task for tries in models.values() for task in tries if not all(one["right"] for one in tries[task])
    )
    return dict.fromkeys(wrong)


class _Texts:
    """Texts by number: prompts and answers repeat between models and attempts."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.all)
            self.all.append(_shortened(text))
        return self._numbers[text]


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    left_out = len(text) - 2 * half
    return (
        f"{text[:half]}\n\n[… {left_out} characters left out here; the .jsonl has them …]\n\n{text[-half:]}"
    )


def _packed(one: Mapping[str, Any], texts: _Texts) -> dict[str, Any]:
    return {
        "right": one["right"],
        "why": [_shortened(reason) for reason in one["why"]],
        "attempt": one["attempt"],
        "question": texts.number(one["question"]),
        "gold": texts.number(one["gold"]),
        "prompt": texts.number(one["prompt"]),
        "completions": [texts.number(text) for text in one["completions"]],
        "results": [texts.number(text) for text in one["results"]],
    }
