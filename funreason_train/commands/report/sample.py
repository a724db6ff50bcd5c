"""One sample of a rollout: the responses of an episode, or the one response to a prompt of the data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...calls import Call, render_calls
from ...dialogue import read_completion
from ...pages.embed import Texts, shortened

#: Fields of a line that the browser shows in places of their own.
_PLACED = frozenset(
    (
        *("group", "sample", "row", "category", "prompt", "prompt_at", "answer", "gold", "score", "reason"),
        *("turn", "response", "calls", "results", "ok", "reasons"),
    )
)
_QUESTION = 180  # characters
_CALLS = 40  # of one answer, written one a line


@dataclass
class Sample:
    """One sample.

    Attributes:
        group: The name of its group.
        sample: Its number there.
        lines: Its responses as the step's file has them.
        places: The line of each, from 0.
    """

    group: str
    sample: int
    lines: list[dict[str, Any]]
    places: list[int]

    def summary(self) -> dict[str, Any]:
        """What the list shows of it."""
        last = self.lines[-1]
        return {
            "sample": self.sample,
            "row": str(last.get("row") or ""),
            "category": str(last.get("category") or ""),
            "score": number(last.get("score")),
            "reason": shortened(str(last.get("reason") or ""), most=200),
            "responses": len(self.lines),
            "characters": sum(len(str(line["answer"])) for line in self.lines),
        }


def group_samples(lines: Iterable[Mapping[str, Any]]) -> Iterator[list[Sample]]:
    """The samples of each group, in the order of the file, where a group's lines stand together."""
    group: list[Sample] = []
    for place, line in enumerate(lines):
        name, at = str(line["group"]), int(line["sample"])
        if group and group[0].group != name:
            yield group
            group = []
        if not group or group[-1].sample != at:
            group.append(Sample(name, at, [], []))
        group[-1].lines.append(dict(line))
        group[-1].places.append(place)
    if group:
        yield group


def packed_sample(one: Sample, texts: Texts) -> dict[str, Any]:
    """A sample for the page; texts stand there by number."""
    last = one.lines[-1]
    before: int | None = None
    responses = []
    for line in one.lines:
        before = texts.number(str(line["prompt"]), before)
        answer = str(line["answer"])
        said = {
            "prompt": before,
            "answer": texts.number(answer),
            "calls": _numbers(called(answer), texts),
        }
        if "turn" in line:
            said |= {
                "turn": line["turn"],
                "results": _numbers([str(text) for text in line.get("results") or ()], texts),
                "ok": [bool(ok) for ok in line.get("ok") or ()],
                "why": [shortened(str(why), most=2000) for why in line.get("reasons") or ()],
                "gold": _numbers([str(text) for text in line.get("gold") or ()], texts),
            }
        responses.append(said)
    found: dict[str, Any] = {
        "responses": responses,
        "figures": {
            shortened(str(name), most=100): number(value)
            for name, value in last.items()
            if name not in _PLACED and number(value) is not None
        },
        "lines": [place + 1 for place in one.places],
    }
    if "turn" not in last:
        found["gold"] = _numbers(expected(last.get("gold")), texts)
    return found


def called(answer: str) -> list[str]:
    """The calls of an answer, one text each; none if it has none that can be read."""
    if len(answer) > 200_000:
        return []
    calls = read_completion(answer).calls
    return [] if calls is None else [render_calls([call]) for call in calls[:_CALLS]]


def expected(gold: Any) -> list[str]:
    """The gold calls of a row, one text each; another form of ground truth as it stands."""
    try:
        calls = [Call(str(one["name"]), dict(one["arguments"])) for one in json.loads(gold)["calls"]]
        return [render_calls([call]) for call in calls[:_CALLS]]
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return [] if gold is None else [gold if isinstance(gold, str) else repr(gold)]


def question(prompt: str) -> str:
    """The beginning of what the user said last, for a list."""
    said = ""
    for part in reversed(prompt.split("<|im_start|>user\n")[1:]):
        said = part.partition("<|im_end|>")[0]
        if not said.lstrip().startswith("<tool_response>"):  # Qwen's form of tool results
            break
    words = " ".join((said or prompt[-_QUESTION:])[: 4 * _QUESTION].split())
    return words if len(words) <= _QUESTION else words[: _QUESTION - 1] + "…"


def number(value: Any) -> float | None:
    """A finite number, shortened; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return round(plain, 5) if math.isfinite(plain) else None


def _numbers(some: Iterable[str], texts: Texts) -> list[int]:
    return [texts.number(one) for one in some]
